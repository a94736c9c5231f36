"""Motion, and what is smoothed along it."""
