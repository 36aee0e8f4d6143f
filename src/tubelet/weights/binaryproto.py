"""A mean in a ``.binaryproto``: one ``BlobProto``, in either numbering, as the volume that preprocessing subtracts."""

from __future__ import annotations

import os

from tubelet.clips.mean_volume import MeanVolume, as_mean_volume
from tubelet.errors import InputDataError, UsageError
from tubelet.weights.caffe_blob import Blob, read_blob
from tubelet.weights.wire import WireFile


def read_binaryproto(path: str | os.PathLike[str]) -> tuple[Blob, dict[str, int]]:
    """Read a file that is one blob.

    Returns
    -------
    Blob
        In its stored shape.
    dict
        Fields of unknown meaning, counted.

    Raises
    ------
    InputDataError
        Truncated, damaged, or something else.
    """
    file = WireFile(path)
    passed_over: dict[str, int] = {}
    return read_blob(file, 0, file.size, "the blob", passed_over), passed_over


def read_mean(path: str | os.PathLike[str], shape: tuple[int, ...] | None = None) -> MeanVolume:
    """Read a mean clip or a mean image.

    Parameters
    ----------
    path
        A ``.binaryproto``: C3D's 1×3×T×H×W, a stock clip 1×3×T×H×W or 3×T×H×W, or a stock image 1×3×H×W.
    shape
        The shape that the result must have.

    Returns
    -------
    ndarray
        float32 (3, T, H, W): channel (B, G, R as Caffe trains), time, height, width; gray levels 0 to 255;
        T = 1 for an image. Read-only.

    Raises
    ------
    InputDataError
        Not readable, not such a shape, or not finite numbers.
    """
    blob, _ = read_binaryproto(path)
    values = blob.values
    stored = values.shape
    if len(stored) == 5 and stored[0] == 1:
        values = values[0]
    elif len(stored) == 4 and stored[0] == 1:
        values = values[0][:, None]
    try:
        mean = as_mean_volume(values)
    except UsageError as error:
        why = f"{error.what}: {error.why}" if error.why else error.what
        raise InputDataError(
            "the file holds no mean", path=path, why=why, remedy="give the mean that the network was trained with"
        ) from error
    if shape is not None and mean.shape != shape:
        raise InputDataError(
            f"the mean has the shape {mean.shape}", path=path, why=f"{shape} is needed: channel, time, height, width"
        )
    return mean
