"""Reading the mean clip: the real one, foreign shapes, damaged and hostile files."""

from __future__ import annotations

import bz2
import hashlib
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from tubelet.clips import mean_volume
from tubelet.clips.mean_volume import as_mean_volume, load_mean_volume, mean_volume_sha256, write_mean_volume
from tubelet.errors import InputDataError, UsageError

DATA = Path(os.environ.get("TUBELET_DATA", Path(__file__).parents[3] / "shared" / "data"))


def npy(array: np.ndarray, *, pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def small() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (3, 2, 4, 5))


def test_the_real_one() -> None:
    path = DATA / "means" / "train01_16_128_171_mean.npy.bz2"
    if not path.exists():
        pytest.skip(f"no mean volume in {DATA}")
    volume = load_mean_volume(path, (3, 16, 128, 171))
    assert volume.dtype == np.float32
    assert volume.shape == (3, 16, 128, 171)
    # B, G, R, as published with the file.
    assert volume.mean((1, 2, 3), dtype=np.float64).round(2).tolist() == [90.25, 97.66, 101.41]


def test_both_formats(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(npy(small()))
    (tmp_path / "a.npy.bz2").write_bytes(bz2.compress(npy(small())))
    for name in ("a.npy", "a.npy.bz2"):
        volume = load_mean_volume(tmp_path / name, (3, 2, 4, 5))
        assert (volume == small().astype(np.float32)).all()
        assert not volume.flags.writeable


def test_written_volumes_are_read_back(tmp_path: Path) -> None:
    volume = as_mean_volume(small())
    path = write_mean_volume(tmp_path / "new" / "mean_volume.npy", volume)
    assert (load_mean_volume(path) == volume).all()
    assert [file.name for file in path.parent.iterdir()] == ["mean_volume.npy"]


def test_the_hash_is_of_little_endian_float32() -> None:
    volume = as_mean_volume(np.arange(3.0).reshape(3, 1, 1, 1))
    data = struct.pack("<3f", 0, 1, 2)
    assert mean_volume_sha256(volume) == hashlib.sha256(data).hexdigest()
    big_endian = np.arange(3, dtype=">f8").reshape(3, 1, 1, 1)
    assert mean_volume_sha256(as_mean_volume(big_endian)) == hashlib.sha256(data).hexdigest()


def test_the_array_given_is_not_shared() -> None:
    array = small().astype(np.float32)
    volume = as_mean_volume(array)
    array[:] = 0
    assert volume.max() > 0


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((16, 3, 4, 5)), "transpose it to that order"),
        (np.zeros((3, 4, 5)), "(3, T, H, W)"),
        (np.zeros((3, 0, 4, 5)), "(3, T, H, W)"),
        (np.zeros((3, 2, 4, 5), complex), "complex128"),
        (np.full((3, 2, 4, 5), np.nan), "not finite"),
    ],
)
def test_unfit_arrays(array: np.ndarray, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        as_mean_volume(array)
    assert says in str(caught.value)
    (tmp_path / "m.npy").write_bytes(npy(array))
    with pytest.raises(InputDataError) as from_file:
        load_mean_volume(tmp_path / "m.npy")
    assert says in str(from_file.value)
    assert "m.npy" in str(from_file.value)


def test_another_shape_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.npy").write_bytes(npy(np.zeros((3, 16, 112, 112))))
    with pytest.raises(InputDataError) as caught:
        load_mean_volume(tmp_path / "m.npy", (3, 16, 128, 171))
    for part in ("(3, 16, 112, 112)", "(3, 16, 128, 171)", "m.npy", "c3d_channel_mean"):
        assert part in str(caught.value)


def test_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = npy(small())
    zipped = io.BytesIO()
    np.savez(zipped, a=small())
    files = {
        "missing.npy": None,
        "empty.npy": b"",
        "text.npy": b"hello, I am no array",
        "cut.npy": whole[:-8],
        "cut.npy.bz2": bz2.compress(whole)[:-20],
        "not.npy.bz2": whole,
        "pickle.npy": npy(np.array([{"a": 1}], dtype=object), pickled=True),
        "several.npy": zipped.getvalue(),
    }
    for name, data in files.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(InputDataError, match="cannot read the mean volume") as caught:
            load_mean_volume(tmp_path / name)
        assert name in str(caught.value)
    monkeypatch.setattr(mean_volume, "_MAX_BYTES", 100)
    (tmp_path / "bomb.npy.bz2").write_bytes(bz2.compress(bytes(1000)))
    with pytest.raises(InputDataError, match="more than"):
        load_mean_volume(tmp_path / "bomb.npy.bz2")
