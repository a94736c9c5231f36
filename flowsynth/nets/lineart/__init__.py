"""Networks that draw lines."""
