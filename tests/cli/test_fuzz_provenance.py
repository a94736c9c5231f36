"""Provenance out of files that anybody may have written: read, or refused by one of our own errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowsynth.cli.show import _lines, read_provenance
from flowsynth.core.errors import FlowsynthError, InputError
from flowsynth.core.record import Provenance
from flowsynth.media.pictures import PictureFormat, encode_picture
from tests.config.test_fuzz import SIZES, VALUES, fuzz

PROVENANCE = Provenance(
    flowsynth="1",
    output="a",
    object="0" * 32,
    graph={"nodes": {"a": {"op": "step"}}},
    folder="/x",
).to_json()


def made(folder: Path, kind: str) -> Path:
    """A file of a kind with provenance inside."""
    path = folder / f"file.{kind}"
    if kind == "safetensors":
        from safetensors.torch import save_file
        from torch import zeros

        save_file({"x": zeros(4)}, path, {"flowsynth": PROVENANCE, "type": "tensors"})
    else:
        formats: dict[str, PictureFormat] = {"png": "png", "jpg": "jpeg", "webp": "webp"}
        path.write_bytes(encode_picture(np.zeros((8, 8, 3), np.uint8), formats[kind], text=PROVENANCE))
    return path


KINDS = ["png", "jpg", "webp", "safetensors"]


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(tmp_path: Path, kind: str, count: int) -> None:
    path = made(tmp_path, kind)
    assert read_provenance(path).output == "a"
    good = path.read_bytes()

    @fuzz(count)
    @given(st.integers(0, len(good)), st.integers(0, 16), st.binary(max_size=16))
    def run(start: int, cut: int, put: bytes) -> None:
        path.write_bytes(good[:start] + put + good[start + cut :])
        try:
            read_provenance(path)
        except FlowsynthError:
            return

    run()


@pytest.mark.parametrize("count", SIZES)
def test_texts_that_others_wrote(tmp_path: Path, count: int) -> None:
    fields = st.sampled_from([*Provenance.model_fields, "nodes", "extra"])

    @fuzz(count)
    @given(st.dictionaries(fields, VALUES, max_size=4), st.booleans())
    def run(values: dict[str, Any], whole: bool) -> None:
        data = {**json.loads(PROVENANCE), **values} if whole else values
        path = tmp_path / "file.png"
        text = json.dumps(data)
        path.write_bytes(encode_picture(np.zeros((2, 2, 3), np.uint8), "png", text=text))
        try:
            found = read_provenance(path)
        except InputError:
            return
        assert "\n".join(_lines("file.png", found))

    run()
