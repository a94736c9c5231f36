"""Networks that make pictures out of a random vector."""
