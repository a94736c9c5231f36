"""Which files of a folder go with which words, by the names of the files."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

_WORD = re.compile(r"[^\W\d_]+")
#: Words that say nothing of what is to be seen.
_EMPTY = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be been by for from had has have he her his i in is it its me my no not of on or
        our out she so some than that the their them then there they this to up was we were what when where
        which who will with you your image img photo picture pic video clip dsc dji mov final copy new""",
    )
)
#: Letters of a beginning that is one word's as well as another's: sail, sails, sailing.
_SHARED = 4


def words_of(text: str) -> list[str]:
    """Words in small letters, those of names such as ``BlueSea-02`` apart; none that says nothing."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return [word for word in map(str.lower, _WORD.findall(apart)) if word not in _EMPTY and len(word) > 1]


def chosen(texts: Sequence[str], files: Sequence[Path]) -> list[int | None]:
    """The file for each text: the one whose name, with its folders, shares most of its words.

    A word counts the more the fewer names have it. Of equal ones that comes which was shown least so far,
    then the first.

    Args:
        texts: what is said, or what is searched.
        files: in order, as they lie in the folder that they were found in.

    Returns:
        Places in `files`; None where no name shares a word.
    """
    names = [set(words_of(str(file.with_suffix("")))) for file in files]
    weights = _weights(names)
    shown: Counter[int] = Counter()
    picked: list[int | None] = []
    for text in texts:
        wanted = set(words_of(text))
        scores = [sum(weights[word] for word in name if _shares(word, wanted)) for name in names]
        best = max(scores, default=0.0)
        found = None
        if best > 0:
            equal = [place for place, score in enumerate(scores) if score >= best - 1e-9]
            found = min(equal, key=lambda place: (shown[place], place))
            shown[found] += 1
        picked.append(found)
    return picked


def _weights(names: Sequence[set[str]]) -> dict[str, float]:
    counts = Counter(word for name in names for word in name)
    return {word: math.log1p(len(names) / count) for word, count in counts.items()}


def _shares(word: str, wanted: set[str]) -> bool:
    if word in wanted:
        return True
    return any(_alike(word, other) for other in wanted)


def _alike(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long == f"{short}s" or (len(short) >= _SHARED and long.startswith(short))
