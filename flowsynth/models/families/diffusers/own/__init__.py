"""Pipelines that the library has no class for, built of its parts: they are found by their files' classes."""
