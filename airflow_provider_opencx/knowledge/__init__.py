"""Training scenarios as code: Markdown files, a plan, and applying it, as for phone agents."""
