"""Calls people and runs sequences: decides whom to call and when, and calls each person at most once."""
