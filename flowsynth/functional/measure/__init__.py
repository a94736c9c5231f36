"""Figures about pictures and clips."""
