"""Drawings, sheets and plots to look at."""
