"""Models that a vendor runs: what is asked of them, and what becomes of an answer or of none.

What is asked is in the key of the node that asks, and the answer was paid for: so this room is no part of the
source fingerprints of operators, and a change here asks nothing again.
"""
