"""Patch match and what is blended by it (FastBlend)."""
