"""The one resize of the package: bilinear, half-pixel centers, no antialias, on uint8 and, for motion, float32.

A descriptor depends on how its frames were scaled (ffmpeg's scaler is 2.9 gray levels away from OpenCV's on a
detailed clip), so every decoder and every verb comes through this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from tubelet.clips.boxes import Size, size_after
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

# torch is imported where something is resized: processes that only check frames do without its 0.3 GB.
Frames: TypeAlias = "Tensor | npt.NDArray[np.uint8]"
Fields: TypeAlias = "Tensor | npt.NDArray[np.uint8] | npt.NDArray[np.float32]"
Field = TypeVar("Field", np.uint8, np.float32)


@overload
def resize(frames: Tensor, size: Size) -> Tensor: ...
@overload
def resize(frames: npt.NDArray[np.uint8], size: Size) -> npt.NDArray[np.uint8]: ...
def resize(frames: Frames, size: Size) -> Frames:
    """Scale frames to a height and width whatever their aspect ratio, or to a shorter side, keeping it.

    Output pixel ``i`` of ``n`` reads the source at ``(i + 0.5) * N / n - 0.5``, clamped to the frame, and
    blends the two nearest pixels along each axis. This is OpenCV's ``INTER_LINEAR`` (the original C3D code's
    ``cv::resize(img, Size(171, 128))``) to within one gray level: both round fixed-point sums, but torch also
    rounds between the two axes. A strong reduction skips pixels, as there; it does not average them.

    Parameters
    ----------
    frames
        ``(T, H, W, 3)`` uint8 array or CPU tensor, RGB or BGR alike, in any memory layout, read-only
        included. Contiguous frames are read where they are; others are copied one frame at a time. No float
        copy is made.
    size
        Height and width wanted, in pixels, or the shorter side (see ``boxes.size_after``).

    Returns
    -------
    Tensor or ndarray, as given
        ``(T, h, w, 3)`` uint8, contiguous. Frames that already have the size are returned as they are, not
        copied.

    Raises
    ------
    UsageError
        Frames of another shape, type or device, or a size below one pixel.
    """
    check_frames(frames)
    height, width = size_after(size, (frames.shape[1], frames.shape[2]))
    if tuple(frames.shape[1:3]) == (height, width):
        return frames
    if isinstance(frames, np.ndarray):
        return _resize_array(frames, height, width)
    return _resize_tensor(frames, height, width)


def resize_field(field: npt.NDArray[Field], size_hw: tuple[int, int]) -> npt.NDArray[Field]:
    """Scale values on the grid of frames that are not colors, such as motion, as :func:`resize` scales frames.

    Parameters
    ----------
    field
        ``(T, H, W, C)`` float32, or uint8 levels; in any memory layout, read-only included.
    size_hw
        Height and width wanted, in pixels.

    Returns
    -------
    ndarray
        ``(T, h, w, C)``, of the same type, contiguous; float32 is within rounding of OpenCV's ``INTER_LINEAR``.
        The values themselves are interpolated only: motion in pixels is still to be scaled by the caller. A
        field that already has the size is returned as it is, not copied.

    Raises
    ------
    UsageError
        A field of another shape or type, or a size below one pixel.
    """
    if field.ndim != 4 or min(field.shape[1:]) < 1 or field.dtype not in (np.uint8, np.float32):
        raise UsageError(
            f"a field has the shape {field.shape} and the type {field.dtype}",
            why="it must be (T, H, W, C), float32 or uint8",
            remedy="put the channels last",
        )
    height, width = size_after(size_hw, (field.shape[1], field.shape[2]))
    if field.shape[1:3] == (height, width):
        return field
    return _resize_array(field, height, width)


def check_frames(frames: Fields) -> None:
    """Refuse anything but ``(T, H, W, 3)`` uint8 frames of at least one pixel, in ordinary memory."""
    shape = tuple(frames.shape)
    if len(shape) != 4 or shape[3] != 3 or min(shape[1:3]) < 1:
        raise UsageError(
            f"frames have the shape {shape}", why="they must be (T, H, W, 3)", remedy="pass Video.frames(...)"
        )
    if _type_name(frames) != "uint8":
        raise UsageError(
            f"frames have the type {frames.dtype}",
            why="pixels are uint8, 0 to 255",
            remedy="pass the frames as they were decoded",
        )
    _check_memory(frames)


def check_flow(fields: Fields) -> None:
    """Refuse anything but ``(T, H, W, 2L)`` uint8 levels or float32 vectors, in ordinary memory."""
    shape = tuple(fields.shape)
    if len(shape) != 4 or shape[3] % 2 or min(shape[1:]) < 1:
        raise UsageError(
            f"flow has the shape {shape}",
            why="it must be (T, H, W, 2L): x and y in turns",
            remedy="pass flow to a recipe of flow, frames to one of rgb or bgr",
        )
    if _type_name(fields) not in ("uint8", "float32"):
        raise UsageError(
            f"flow has the type {fields.dtype}",
            why="it is uint8 levels, or float32 in pixels",
            remedy="pass the levels as they were stored",
        )
    _check_memory(fields)


def _type_name(frames: Fields) -> str:
    return str(frames.dtype).removeprefix("torch.")


def _check_memory(frames: Fields) -> None:
    if not isinstance(frames, np.ndarray) and frames.device.type != "cpu":
        raise UsageError(
            f"frames are on {frames.device}",
            why="pixels are prepared on the CPU",
            remedy="call .cpu() on the frames and move the network input instead",
        )


def as_tensor(array: npt.NDArray[np.generic]) -> Tensor:
    """A tensor on the array's own memory, read-only memory included; the caller must not write to it.

    Frames from a decoding process are read-only, which ``torch.from_numpy`` answers with a warning.
    """
    import torch

    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)  # torch has no negative strides
    if array.flags.writeable:
        return torch.from_numpy(array)
    return torch.from_numpy(np.asarray(_Writeable(array)))


class _Writeable:
    """An array's memory as NumPy's array interface, with the read-only mark taken off."""

    def __init__(self, array: npt.NDArray[np.generic]) -> None:
        self._owner = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def _resize_array(frames: npt.NDArray[Field], height: int, width: int) -> npt.NDArray[Field]:
    if frames.flags.c_contiguous:
        resized: npt.NDArray[Field] = _resize_tensor(as_tensor(frames), height, width).numpy()
        return resized
    out = np.empty((len(frames), height, width, frames.shape[3]), frames.dtype)
    for index, frame in enumerate(frames):
        out[index] = _resize_tensor(as_tensor(np.ascontiguousarray(frame))[None], height, width)[0].numpy()
    return out


def _resize_tensor(frames: Tensor, height: int, width: int) -> Tensor:
    import torch
    import torch.nn.functional as F

    if len(frames) == 0:
        return frames.new_empty((0, height, width, frames.shape[3]))
    if not frames.is_contiguous():
        # torch would copy the whole block at once; a frame at a time needs the memory of one frame.
        return torch.cat([_resize_tensor(frame.contiguous()[None], height, width) for frame in frames])
    # The permuted view is channels_last, for which torch has an integer kernel that widens no frame.
    planes = frames.permute(0, 3, 1, 2)
    if frames.dtype == torch.uint8 and frames.shape[3] not in (3, 4):
        planes = planes.contiguous()  # that kernel is for colors; stacks of flow are three times faster as planes
    resized = F.interpolate(planes, size=(height, width), mode="bilinear", align_corners=False)
    return resized.permute(0, 2, 3, 1).contiguous()
