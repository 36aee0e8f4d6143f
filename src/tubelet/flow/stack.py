"""Flow fields and frame differences become network input.

========================  ====================================================================  ==================
function                  what channel pair k of the input holds                                source
========================  ====================================================================  ==================
``flow_stack``            d_{τ+k-1}(u, v): the field at the pixel itself                        Two-Stream (1)
``trajectory_stack``      d_{τ+k-1}(p_k): the field where the pixel has moved to                Two-Stream (2), (3)
``bidirectional_stack``   L/2 fields into the future, then L/2 into the past                    Two-Stream 3.1
``tsn_stack``             five consecutive fields as levels, minus 128                          TSN 3.2
``rgb_difference``        frame k+1 - frame k                                                   TSN 3.1
``flow_volume``           fields one after the other in time, for 3-D networks                  P3D
========================  ====================================================================  ==================

Fields are ``(..., L, H, W, 2)``, as ``Flow.vectors`` and stored levels are, with any leading batch axes; stacks are
``(..., 2L, H, W)`` with the channels x1, y1, x2, y2, …. Arrays are read where they lie; results are tensors on the
device of the input. Fields are stacked whole and cropped afterwards: trajectories lead out of a crop, and the mean
that Two-Stream subtracts is that of the whole field.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from tubelet.clips.mirror import LEVELS_TOTAL, mirror_motion
from tubelet.clips.recipe import NO_MOTION_LEVEL
from tubelet.clips.resize import as_tensor
from tubelet.errors import UsageError
from tubelet.flow.trajectory import motion_along

Values = Tensor | NDArray[Any]


def flow_stack(fields: Values) -> Tensor:
    """Optical-flow stacking: ``I(u, v, 2k-1) = d^x_{τ+k-1}(u, v)``, ``I(u, v, 2k) = d^y_{τ+k-1}(u, v)``.

    Parameters
    ----------
    fields
        ``(..., L, H, W, 2)``: vectors in pixels, or levels; L consecutive fields from frame τ on.

    Returns
    -------
    Tensor
        ``(..., 2L, H, W)`` of the same type, contiguous.

    Raises
    ------
    UsageError
        Fields of another shape.

    References
    ----------
    Simonyan and Zisserman 2014, section 3.1, equation (1).
    """
    return _fields(fields).movedim(-1, -3).flatten(-4, -3).contiguous()


def flow_volume(fields: Values) -> Tensor:
    """Fields one after the other in time: ``(..., T, H, W, 2)`` to ``(..., 2, T, H, W)``, for 3-D networks."""
    return _fields(fields).movedim(-1, -4).contiguous()


def trajectory_stack(fields: Values) -> Tensor:
    """Trajectory stacking: each pixel is followed, and the motion read where it has moved to.

    ``I(u, v, 2k-1) = d^x_{τ+k-1}(p_k)``, ``I(u, v, 2k) = d^y_{τ+k-1}(p_k)``, with the places p_k and the sampling of
    :mod:`tubelet.flow.trajectory`.

    Parameters
    ----------
    fields
        ``(..., L, H, W, 2)`` floats in pixels (not levels), L consecutive fields from frame τ on.

    Returns
    -------
    Tensor
        ``(..., 2L, H, W)``, contiguous.

    Raises
    ------
    UsageError
        Fields of another shape, or not of floats.
    NumericalError
        A vector is not finite.

    References
    ----------
    Simonyan and Zisserman 2014, section 3.1, equations (2) and (3).
    """
    return flow_stack(motion_along(_fields(fields)))


def bidirectional_stack(forward: Values, backward: Values, *, follow: bool = False) -> Tensor:
    """Forward flow from frame τ on, then backward flow from frame τ back.

    The paper names L/2 forward flows between frames τ and τ + L/2 and L/2 backward flows between τ - L/2 and τ,
    in this order, and leaves the order within the latter open. Here both begin at frame τ, so that both can be
    followed from its pixels: the channels hold forward fields τ, τ+1, …, then the backward fields τ → τ-1,
    τ-1 → τ-2, …. Vectors keep their own sign: those of backward flow lead into the past, so that steady motion
    (a, b) reads a, b in the first half and -a, -b in the second.

    Parameters
    ----------
    forward
        ``(..., L/2, H, W, 2)``: fields τ to τ + L/2 - 1 of forward flow.
    backward
        Of the same shape: fields τ - L/2 to τ - 1 of backward flow (field t leads from frame t + 1 to frame t), in
        the order of time, as they are stored. They are reversed here.
    follow
        Trajectory stacking in both halves, instead of optical-flow stacking.

    Returns
    -------
    Tensor
        ``(..., 2L, H, W)``, contiguous.

    Raises
    ------
    UsageError
        Fields of another shape or of two shapes; with ``follow``, fields not of floats.
    NumericalError
        With ``follow``, a vector is not finite.

    References
    ----------
    Simonyan and Zisserman 2014, section 3.1, bi-directional optical flow.
    """
    ahead, back = _fields(forward), _fields(backward)
    if ahead.shape != back.shape:
        raise UsageError(
            "a bidirectional stack has as many fields on both sides",
            why=f"forward {tuple(ahead.shape)}, backward {tuple(back.shape)}",
            remedy="take L/2 fields from the frame on and L/2 before it",
        )
    stack = trajectory_stack if follow else flow_stack
    return torch.cat((stack(ahead), stack(back.flip(-4))), dim=-3)


def subtract_mean(stack: Values) -> Tensor:
    """Subtract from each displacement field its mean vector, which is mostly the motion of the camera.

    Parameters
    ----------
    stack
        ``(..., 2L, H, W)`` floats in pixels, not yet cropped.

    Returns
    -------
    Tensor
        Of the same shape; the mean of every channel over its pixels is zero.

    Raises
    ------
    UsageError
        A stack of another shape, or of levels: they are to be turned back into pixels first.

    References
    ----------
    Simonyan and Zisserman 2014, section 3.1, mean flow subtraction.
    """
    values = _stack(stack)
    if not values.is_floating_point():
        raise UsageError(
            f"a stack has the type {values.dtype}",
            why="the mean is that of vectors in pixels, not of levels",
            remedy="call dequantize first",
        )
    return values - values.mean(dim=(-2, -1), keepdim=True)


def flip_stack(stack: Values) -> Tensor:
    """The stack of the frames mirrored from left to right: mirrored, and the x channels (0, 2, 4, …) negated.

    For levels negation is ``255 - level``, which is exact for the motion that the level stands for; no motion
    (128) reads 127, half a level to the other side. Mirror levels before a mean is subtracted. The same for every
    stack of this module but :func:`rgb_difference`, which is only mirrored.

    Parameters
    ----------
    stack
        ``(..., 2L, H, W)``, vectors in pixels or uint8 levels.

    Returns
    -------
    Tensor
        Of the same shape and type.

    Raises
    ------
    UsageError
        A stack of another shape, or of integers that are not uint8.
    """
    values = _stack(stack)
    if not values.is_floating_point() and values.dtype != torch.uint8:
        raise UsageError(f"a stack has the type {values.dtype}", remedy="give pixels as floats, or levels as uint8")
    return mirror_motion(values, across=-1, components=-3, total=LEVELS_TOTAL if values.dtype == torch.uint8 else 0)


def tsn_stack(levels: Values) -> Tensor:
    """TSN's flow input: consecutive fields (there five) as levels 0 to 255, minus 128 (Wang 2016, section 3.2).

    Parameters
    ----------
    levels
        ``(..., L, H, W, 2)`` uint8, quantized with the bound that the network was trained with (20).

    Returns
    -------
    Tensor
        ``(..., 2L, H, W)`` float32, from -128 to 127.

    Raises
    ------
    UsageError
        Fields of another shape, or not uint8.
    """
    return center_levels(flow_stack(levels))


def center_levels(levels: Values) -> Tensor:
    """Levels as float32 minus 128, in any layout: what TSN and P3D do to quantized flow.

    Raises
    ------
    UsageError
        Levels that are not uint8.
    """
    values = _tensor(levels)
    if values.dtype != torch.uint8:
        raise UsageError(f"levels have the type {values.dtype}", remedy="call quantize on the flow first")
    return values.float().sub_(NO_MOTION_LEVEL)


def rgb_difference(frames: Values) -> Tensor:
    """Differences of consecutive frames: ``D_k = frame_{k+1} - frame_k``; TSN takes 6 frames, 15 channels.

    Parameters
    ----------
    frames
        ``(..., T, H, W, 3)`` uint8 or float, T ≥ 2, RGB; BGR for networks that read BGR.

    Returns
    -------
    Tensor
        ``(..., 3 (T - 1), H, W)`` float32, from -255 to 255: the three colors of the first difference, of the
        second, …. No mean is subtracted.

    Raises
    ------
    UsageError
        Frames of another shape, or fewer than two.

    References
    ----------
    Wang 2016, section 3.1 (stacked RGB difference).
    """
    values = _tensor(frames)
    if values.ndim < 4 or values.shape[-1] != 3 or values.shape[-4] < 2:
        raise UsageError(
            f"frames have the shape {tuple(values.shape)}",
            why="differences need (..., T, H, W, 3) with T of at least 2",
            remedy="pass Video.frames(...)",
        )
    planes = values.movedim(-1, -3).float()
    return (planes[..., 1:, :, :, :] - planes[..., :-1, :, :, :]).flatten(-4, -3)


def _tensor(values: Values) -> Tensor:
    return values if isinstance(values, Tensor) else as_tensor(values)


def _fields(fields: Values) -> Tensor:
    values = _tensor(fields)
    if values.ndim < 4 or values.shape[-1] != 2 or min(values.shape[-4:]) < 1:
        raise UsageError(
            f"flow fields have the shape {tuple(values.shape)}",
            why="they must be (..., L, H, W, 2)",
            remedy="pass Flow.vectors, or stored levels",
        )
    return values


def _stack(stack: Values) -> Tensor:
    values = _tensor(stack)
    if values.ndim < 3 or values.shape[-3] % 2 or min(values.shape[-3:]) < 1:
        raise UsageError(
            f"a stack of flow has the shape {tuple(values.shape)}",
            why="it must be (..., 2L, H, W)",
            remedy="make it with flow_stack",
        )
    return values
