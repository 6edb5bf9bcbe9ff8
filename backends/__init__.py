"""Have another system find it: one folder per product, each from the same rules."""
