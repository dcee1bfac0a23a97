"""Writes existing agents as fleet files, and proves that a plan of these files would change nothing."""
