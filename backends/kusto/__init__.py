"""What Sentinel and Defender have in common: the parts of a rule in the Kusto Query Language.

`kqltext` writes texts and patterns, `kqlnet` networks as patterns (Splunk and pySigma's targets
take these, too), `kqlwhere` conditions. Not a target: it has no `targets`.
"""
