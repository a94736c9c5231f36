"""Networks that enlarge clips."""
