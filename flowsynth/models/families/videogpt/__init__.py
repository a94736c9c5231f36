"""Family ``videogpt``: clips code by code."""
