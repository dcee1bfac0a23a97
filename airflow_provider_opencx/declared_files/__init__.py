"""Declarations in files: finds and reads them within bounds, fills variables, and names the line of what is wrong.

What is the same for the files of a fleet and for those of training scenarios.
"""
