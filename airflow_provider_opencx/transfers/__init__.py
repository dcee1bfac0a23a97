"""Transfers: operators that copy data from OpenCX to where the team's data is."""
