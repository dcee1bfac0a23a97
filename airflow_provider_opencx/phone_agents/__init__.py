"""Agents as code: compares declarations with existing agents, makes a plan, and applies it."""
