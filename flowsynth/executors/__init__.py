"""Schedulers that run a plan: serial and threaded, and where each node is placed."""
