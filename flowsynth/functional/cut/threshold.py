"""How much two frames must share to be of one shot. Needs no torch: parameters of operators use it."""

__all__ = ["CUT", "CUT_TEXT"]

#: Across 125 cuts of a film at most .35 is seen in both, within its shots at least .74: benchmarks/cuts.py.
CUT = 0.4
CUT_TEXT = (
    "share of the picture that neighbours must both show, motion followed, to be of one shot; shots stay "
    "apart; 0: never"
)
