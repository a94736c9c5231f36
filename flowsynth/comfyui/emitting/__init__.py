"""Graphs as YAML, and workflows as JSON."""
