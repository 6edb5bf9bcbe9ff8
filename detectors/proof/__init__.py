"""Proof: rules run over recordings whose manifests say what must fire and what must stay quiet."""
