"""Networks that find edges."""
