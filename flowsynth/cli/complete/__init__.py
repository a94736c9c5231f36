"""Completion of command lines: what may stand where the cursor is, and the shells that ask."""
