"""The parts of ``benchmarks/pocket.py``: one module a goal, each with ``measure(lab) -> Section``."""
