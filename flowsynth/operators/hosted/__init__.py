"""Models that a vendor runs: pictures and texts for money."""
