"""Hunt in logs while they are written: `tail` reads what is new, `state` keeps what outlasts the
process, `findings` and `groups` fold and correlate in it, `events` and `output` tell what changed.
"""
