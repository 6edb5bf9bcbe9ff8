"""Have another system find it: one folder per product, each from the same rules.

A folder is a target package: its `__init__` has `targets() -> Sequence[Target]`. Nothing else names
it. `model` holds the values that all share, `subjects` makes what is compiled, `registry` finds the
folders, `manifest` and `support` say what was made and how well its meaning is known, `proving`
runs compiled queries on engines and compares.
"""
