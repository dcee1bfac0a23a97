"""Phone agents."""
