"""Operators, ports, registry, graphs, keys and plans: no torch, no hydra."""
