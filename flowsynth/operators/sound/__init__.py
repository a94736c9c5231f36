"""Sound: reading, cutting, joining, mixing, loudness."""
