"""The libraries' progress bars and chatter, kept away."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

#: Whose warnings of their own ways are no fault of a graph.
_LIBRARIES = r"(accelerate|diffusers|numpy|torch|transformers)(\.|$)"


def ignore_library_warnings() -> None:
    """Ignore what libraries warn of inside themselves; said again and again, it stays one filter."""
    for kind in (DeprecationWarning, FutureWarning, UserWarning):
        warnings.filterwarnings("ignore", category=kind, module=_LIBRARIES)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' progress bars and chatter away while a network is loaded."""
    import diffusers
    import transformers

    loggers = [logging.getLogger("diffusers"), logging.getLogger("transformers"), logging.getLogger("peft")]
    levels = [logger.level for logger in loggers]
    bar = transformers.utils.logging.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bar:
            transformers.utils.logging.enable_progress_bar()
