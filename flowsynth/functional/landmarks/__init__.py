"""Faces and bodies: from a network's outputs to places."""
