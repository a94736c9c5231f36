"""Networks that estimate motion between frames."""
