"""Transfers: operators that bring what OpenCX has to where the team's data lives."""
