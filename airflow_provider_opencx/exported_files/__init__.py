"""Writes declarations as files that read back as they are: names of files, YAML, and a folder of them."""
