"""Declarations in files: finds and reads them within limits, fills variables, and names the line of a problem.

What is the same for the files of a fleet and for those of training scenarios.
"""
