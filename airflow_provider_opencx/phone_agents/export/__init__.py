"""Writes the agents that exist as fleet files, and proves that a plan of these files would change nothing."""
