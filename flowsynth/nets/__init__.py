"""Network definitions of our own that load published weights."""
