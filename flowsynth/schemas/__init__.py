"""JSON Schemas of what flowsynth writes, generated from `flowsynth.core.record`.

``python -m flowsynth.schemas`` writes them anew; a test says when that is due.
"""
