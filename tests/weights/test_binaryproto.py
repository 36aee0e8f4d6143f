"""Mean files: both numberings, and the real one of C3D v1.0."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tubelet.errors import InputDataError
from tubelet.weights import read_mean
from tubelet.weights.binaryproto import read_binaryproto
from tubelet.weights.caffe_blob import C3D

sys.path.insert(0, str(Path(__file__).parent))
from made_files import blob, write

VALUES = np.random.default_rng(1).uniform(40, 120, (3, 4, 5, 6)).astype("f4")


@pytest.fixture
def real_mean(shared_data: Path) -> Path:
    path = shared_data / "means" / "fb_train16_128_mean.binaryproto"
    if not path.is_file():
        pytest.skip(f"the real mean is not at {path}")
    return path


def test_the_real_mean_of_c3d(real_mean: Path) -> None:
    blob_read, passed_over = read_binaryproto(real_mean)
    assert (blob_read.values.shape, blob_read.numbering, passed_over) == ((1, 3, 16, 128, 128), C3D, {})
    # Read independently: 17 bytes of header (five sides, then the tag and length of packed floats), then floats.
    raw = real_mean.read_bytes()
    assert raw[:17] == bytes.fromhex("08 01 10 03 18 10 20 80 01 28 80 01 32 80 80 c0 01")
    mean = read_mean(real_mean, (3, 16, 128, 128))
    assert mean.tobytes() == raw[17:]
    # Gray levels of natural video. A mean over many clips changes less from frame to frame than from one pixel to
    # the next, and both far less than its own range: so no two axes are swapped.
    assert ((mean.mean(axis=(1, 2, 3)) > 80) & (mean.mean(axis=(1, 2, 3)) < 140)).all()
    in_time, downward, across = (np.abs(np.diff(mean, axis=axis)).mean() for axis in (1, 2, 3))
    assert in_time < min(downward, across) < max(downward, across) < 0.05 * np.ptp(mean)
    assert not mean.flags.writeable


@pytest.mark.parametrize(
    ("stored", "numbering", "expected"),
    [
        (VALUES[None], "c3d", VALUES),
        (VALUES[None], "shape", VALUES),
        (VALUES, "shape", VALUES),
        (VALUES[None, :, 0], "legacy", VALUES[:, :1]),
        (VALUES[None, :, 0], "shape", VALUES[:, :1]),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_every_form_of_mean(tmp_path: Path, stored, numbering: str, expected, packed: bool) -> None:
    path = write(tmp_path / "mean.binaryproto", blob(stored, numbering, packed=packed))
    mean = read_mean(path)
    assert mean.dtype == np.float32
    assert mean.shape == expected.shape
    assert (mean == expected).all()


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (np.ones((2, 3, 4, 5, 6), "f4"), "must hold numbers in"),
        (np.ones((1, 4, 4, 5, 6), "f4"), "must hold numbers in"),
        (np.ones((3, 5, 6), "f4"), "must hold numbers in"),
        (np.full((1, 3, 2, 2, 2), np.nan, "f4"), "values that are not finite"),
    ],
)
def test_what_is_no_mean_is_refused(tmp_path: Path, stored, why: str) -> None:
    path = write(tmp_path / "mean.binaryproto", blob(stored, "shape"))
    with pytest.raises(InputDataError, match=f"holds no mean.*{why}"):
        read_mean(path)


def test_a_mean_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "mean.binaryproto", blob(VALUES[None], "c3d"))
    with pytest.raises(InputDataError, match=r"has the shape \(3, 4, 5, 6\).*\(3, 16, 128, 171\) is needed"):
        read_mean(path, (3, 16, 128, 171))
