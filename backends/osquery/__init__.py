"""osquery: the pack whose queries supply what the rules need."""
