"""How noisy the rules are over an organisation's own logs, held against what their levels promise."""
