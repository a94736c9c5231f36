"""Sweeps: many jobs as one plan, each delivered as if it had been run by itself."""
