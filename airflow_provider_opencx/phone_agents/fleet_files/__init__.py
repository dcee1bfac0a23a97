"""Fleet files: reads the declarations of agents, with the place of each value in its file."""
