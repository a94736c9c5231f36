"""Frames at other times: rate, order, parts."""
