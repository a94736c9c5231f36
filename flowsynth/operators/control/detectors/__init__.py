"""One file a detector of `annotate`."""
