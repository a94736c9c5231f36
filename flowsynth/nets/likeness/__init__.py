"""Networks that say how different pictures look."""
