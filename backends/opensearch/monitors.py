def monitor(rule, layout, query):
    return {}


def package(a, p):
    return {}
