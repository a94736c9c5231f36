"""Model families, sources of weights, and the manager that keeps models loaded."""
