"""The collector rests while much is made, and finds garbage afterwards all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "nothing_is_looked_through_inside",
        "what_many_were_made_of_counts_as_old",
        "garbage_is_found_afterwards",
        "what_a_program_keeps_apart_stays_apart",
        "one_thread_does_not_end_another_s_pause",
        "many_threads_leave_it_as_it_was",
    ],
)
def test_the_collector(name: str) -> None:
    """In a process of its own: here each look would go through torch and all that tests left."""
    root = Path(__file__).parents[2]
    code = f"from tests.core.collecting import {name}; {name}()"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
