"""Tiny real pipelines of many classes, with random weights, built offline."""
