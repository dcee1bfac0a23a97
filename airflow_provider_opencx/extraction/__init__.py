"""Extraction: reads what the service has into files of JSON lines that can be written again, byte by byte the same."""
