"""Writes declarations as files that read back as the same declarations: file names, YAML, and a folder of files."""
