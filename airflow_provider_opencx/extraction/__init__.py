"""Extraction: writes lists of the service as files of JSON lines. A repeated run writes the same bytes."""
