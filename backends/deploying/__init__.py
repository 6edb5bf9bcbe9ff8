"""Bring what was compiled to a running server, and keep it there as the rules are.

`plan` compares what should be there with what is, as plain values. `http` speaks to a server.
`kibana` and `fleet` say what each server calls things. Not a target: it has no `targets`.
"""
