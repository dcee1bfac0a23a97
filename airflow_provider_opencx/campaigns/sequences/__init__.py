"""Sequences, the campaigns of the service: declares, compares, starts (once), cancels and waits for them."""
