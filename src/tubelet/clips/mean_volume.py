"""The mean clip that C3D subtracts: reading, checking, writing and naming it by its bytes."""

from __future__ import annotations

import bz2
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tubelet.artifacts import write_bytes
from tubelet.errors import InputDataError, UsageError

MeanVolume = npt.NDArray[np.float32]

# C3D's own is 8 MiB in float64; a compressed file may not unfold into all of memory.
_MAX_BYTES = 1 << 28


def load_mean_volume(path: str | os.PathLike[str], shape: tuple[int, ...] | None = None) -> MeanVolume:
    """Read a mean volume from ``.npy`` or ``.npy.bz2``.

    Parameters
    ----------
    path
        The file. Nothing in it is unpickled.
    shape
        The shape it must have; C3D's Sports-1M mean is ``(3, 16, 128, 171)``: channel (B, G, R), time,
        height, width.

    Returns
    -------
    ndarray
        float32, gray levels 0 to 255, in the file's channel order, read-only. Wider numbers are rounded to
        float32, the type that the original computes in.

    Raises
    ------
    InputDataError
        Not readable as an array, not of that shape, or not finite numbers.
    """
    path = Path(path)
    try:
        with bz2.open(path, "rb") if path.suffix == ".bz2" else open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES >> 20} MiB")
        array = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("an archive of several arrays")
    except (OSError, ValueError, EOFError) as error:
        raise InputDataError(
            "cannot read the mean volume", path=path, why=str(error), remedy="give a .npy or .npy.bz2 file"
        ) from error
    if shape is not None and array.shape != shape:
        raise InputDataError(
            f"the mean volume has the shape {array.shape}",
            path=path,
            why=f"{shape} is needed: channel, time, height, width",
            remedy="give the volume of that shape, or use the recipe c3d_channel_mean, which needs none",
        )
    try:
        return as_mean_volume(array)
    except UsageError as error:
        raise InputDataError(error.what, path=path, why=error.why, remedy=error.remedy) from error


def as_mean_volume(array: npt.ArrayLike) -> MeanVolume:
    """A read-only float32 copy of ``(3, T, H, W)`` finite numbers; anything else is a :class:`UsageError`."""
    given = np.asarray(array)
    if given.ndim != 4 or given.shape[0] != 3 or 0 in given.shape or given.dtype.kind not in "fiu":
        raise UsageError(
            f"a mean volume of type {given.dtype} has the shape {given.shape}",
            why="it must hold numbers in (3, T, H, W): channel, time, height, width",
            remedy="transpose it to that order",
        )
    volume = np.array(given, dtype="<f4", order="C")
    if not np.isfinite(volume).all():
        raise UsageError("the mean volume has values that are not finite", remedy="make it again")
    volume.flags.writeable = False
    return volume


def mean_volume_sha256(volume: MeanVolume) -> str:
    """Hexadecimal SHA-256 of the values as little-endian float32 in C order."""
    return hashlib.sha256(np.ascontiguousarray(volume, dtype="<f4").tobytes()).hexdigest()


def write_mean_volume(path: str | os.PathLike[str], volume: MeanVolume) -> Path:
    """Write a volume atomically as ``.npy``."""
    buffer = io.BytesIO()
    np.save(buffer, volume, allow_pickle=False)
    return write_bytes(path, buffer.getvalue())
