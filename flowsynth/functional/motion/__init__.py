"""Optical flow, and filters over time."""
