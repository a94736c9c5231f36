"""Filters and geometry of single pictures."""
