def rule_body(rule, layout, query):
    return {}


def package(a, p):
    return {}
