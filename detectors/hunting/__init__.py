"""From parts of files to findings, in one process or several: `work` hunts through a part, `merge`
puts the outcomes together, `share` gives parts to processes. Any split gives the same findings.
"""
