"""A clip cut into shots and windows, a picture into tiles."""
