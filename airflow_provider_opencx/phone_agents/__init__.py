"""Agents as code: a declaration and what exists make a plan, and a plan is applied."""
