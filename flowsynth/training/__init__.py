"""Training of the ``pocket`` model family: data, stages, export and evaluation.

Nothing in flowsynth imports this package; it needs the extra ``train``.
"""
