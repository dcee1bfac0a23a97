"""Fleets in files: reads the declarations of agents, and knows where each stands."""
