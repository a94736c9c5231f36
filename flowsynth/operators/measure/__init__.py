"""Figures about frames."""
