"""The source fingerprint: a hash of an operator's code and of every helper that it reaches.

An operator's cache key must change when its code does, wherever the edit is, and must not change for a
comment, a docstring or a formatter. So the syntax trees are hashed, and the reach is found statically: from
the class's statement through every name it mentions, across the modules of its own package or script and of
flowsynth's own operators, without importing any of them.

What a walk over source cannot see is looked up as live values: names whose value is not what their source
says, settings read at import, the environment and files that are named by a text. Code without a file (a
notebook, a prompt) is known by its bytecode. What is left is told in a note, and is for the operator to say:
things chosen by a computed name go in its `uses`, files in its `files()`, and the rest in its `version`.
"""

from flowsynth.core.fingerprint.loaded import NoSource
from flowsynth.core.fingerprint.memo import FingerprintMemo
from flowsynth.core.fingerprint.source import code_fingerprint, source_fingerprint, source_parts
from flowsynth.core.fingerprint.whole import ClassSource, class_source

__all__ = [
    "ClassSource",
    "FingerprintMemo",
    "NoSource",
    "class_source",
    "code_fingerprint",
    "source_fingerprint",
    "source_parts",
]
