"""The resources of the API, one file for each: what it holds, and the operations on it."""
