"""Correlations as plans that a target can write in its own language."""
