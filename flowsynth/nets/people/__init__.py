"""Networks that find people."""
