"""The triggers."""
