"""How noisy the rules are over an organisation's own logs, against what their levels promise."""
