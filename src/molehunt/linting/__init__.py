"""Lint: what is wrong or doubtful in Sigma rules, with the place in the file."""
