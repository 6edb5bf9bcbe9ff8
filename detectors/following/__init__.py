"""Hunt in logs while they are written: `tail` reads what is new, `state` keeps all that has to outlast
the process, `piles` and `groups` fold and correlate in it, `events` and `output` tell what changed.
"""
