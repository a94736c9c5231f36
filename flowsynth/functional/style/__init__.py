"""Classical styles."""
