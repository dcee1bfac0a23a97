"""Conversations that calls create: waits for them, and counts them."""
