"""Frames of another size."""
