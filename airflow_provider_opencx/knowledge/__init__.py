"""Training scenarios as code: files of Markdown, a plan, and its application, as for phone agents."""
