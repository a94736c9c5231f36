"""Files by name and checksum, out of archives that are read and never run."""
