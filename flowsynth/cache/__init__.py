"""Traces, objects, leases and eviction: the content-addressed disk cache."""
