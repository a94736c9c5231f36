"""Arrays out of a pickle, and every other pickle refused without running any of it."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from flowsynth.weights.formats import read_files
from flowsynth.weights.numpy_pickle import read_numpy_pickle

#: Bytes of arrays that are allowed.
MOST = 10_000
LAYER = {"kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4), "bias": np.ones(3, np.float16)}
ARRAYS = {
    "layer": LAYER,
    "counts": np.array([[1, 2], [3, 4]], dtype=">i4"),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


def test_arrays_come_back_under_their_paths() -> None:
    found = read_numpy_pickle(pickle.dumps(ARRAYS, protocol=3), MOST)
    assert sorted(found) == ["counts", "fortran", "layer/bias", "layer/kernel"]
    np.testing.assert_array_equal(found["layer/kernel"], LAYER["kernel"])
    np.testing.assert_array_equal(found["counts"], ARRAYS["counts"])
    np.testing.assert_array_equal(found["fortran"], ARRAYS["fortran"])
    assert found["layer/bias"].dtype == np.float16


def test_the_format_is_known_by_name() -> None:
    found = read_files({"a": pickle.dumps({"x": np.ones(2)}, protocol=3)}, "numpy-pickle", "lpips", 16)
    np.testing.assert_array_equal(found["x"], np.ones(2))


class Harm:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
def test_nothing_in_a_pickle_runs(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "made"
    data = pickle.dumps({"x": np.ones(2), "y": Harm(target)}, protocol=protocol)
    with pytest.raises(ValueError, match=r"a pickle (that calls|with the instruction)"):
        read_numpy_pickle(data, MOST)
    assert not target.exists()


@pytest.mark.parametrize(
    "value", [{"x": [1, 2]}, {"x": 3}, [np.ones(2)], {"x": np.array(["a"])}, {"x": np.array([None])}, None]
)
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"pickle|expected an array|an array of type"):
        read_numpy_pickle(pickle.dumps(value, protocol=3), MOST)


@pytest.mark.parametrize("end", [1, 10, 40, -60, -1])
def test_a_cut_file_is_refused(end: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever the reader trips over first
        read_numpy_pickle(pickle.dumps({"x": np.ones(9)}, protocol=3)[:end], MOST)
