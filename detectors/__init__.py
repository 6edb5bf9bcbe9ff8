"""Find it here: read telemetry, match rules, build findings, report them.

Data flows one way as plain values: `reading` turns files into rows, `schedule` ties rows to
osquery tables, `matching` says which rule holds for which record and why, `findings` folds matches
into findings, `report` writes them out; `proof` runs rules over their recordings.
"""
