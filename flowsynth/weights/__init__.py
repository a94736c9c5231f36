"""Trained weights by name and checksum: catalogue, sources, formats, and the folder they are kept in."""
