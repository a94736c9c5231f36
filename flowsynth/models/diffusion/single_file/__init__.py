"""Checkpoints in one file without a configuration: what they are, and the configurations they imply."""
