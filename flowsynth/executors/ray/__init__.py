"""Orders carried out by workers of a Ray cluster.

The driver keeps the scheduler, keys, look-ups, leases and commits.
"""
