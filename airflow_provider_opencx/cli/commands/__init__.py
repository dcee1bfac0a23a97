"""The commands, each in a module of its own with one ``COMMAND``."""
