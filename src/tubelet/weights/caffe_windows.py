"""A Caffe layer's kernel, stride and padding, which are spelled in four ways.

============================================================  =======================================
``kernel_size`` once for all axes, or once for each           stock Caffe; P3D's convolutions
``kernel_h``, ``kernel_w``, with ``kernel_l`` for time        P3D's pools
``kernel_depth``, ``temporal_stride``, ``temporal_pad``       C3D v1.0 and v1.1
``kernel_shape { dim }``, ``stride_shape``, ``pad_shape``     video-caffe
============================================================  =======================================
"""

from __future__ import annotations

from tubelet.weights.caffe_blob import MAX_SIDE
from tubelet.weights.prototxt import Message

Shape = tuple[int, ...]


def window(kind: str, param: Message, axes: int) -> tuple[Shape, Shape, Shape]:
    """Kernel, stride and padding over ``axes`` axes (time first where there are three).

    ``kind`` is the layer's type in capitals without underscores. Raises ``ValueError``.
    """
    return (
        _sides(kind, param, "kernel", axes, None),
        _sides(kind, param, "stride", axes, 1),
        _sides(kind, param, "pad", axes, 0),
    )


def _sides(kind: str, param: Message, what: str, axes: int, default: int | None) -> Shape:
    shaped = [tuple(m.integers("dim")) for m in param.messages(f"{what}_shape")]
    plain = param.integers("kernel_size" if what == "kernel" else what)
    high, wide = param.integers(f"{what}_h"), param.integers(f"{what}_w")
    deep = param.integers("kernel_depth" if what == "kernel" else f"temporal_{what}") + param.integers(f"{what}_l")
    if shaped:
        sides = shaped[0]
    elif high and wide:
        sides = (high[0], wide[0])
    elif len(plain) > 1:
        sides = tuple(plain)
    else:
        side = plain[0] if plain else default
        if side is None:
            raise ValueError("it states no kernel")
        # A 3-D layer of C3D or P3D gives time its own number; elsewhere one number holds for all axes.
        own_time = axes == 3 and (bool(deep) or kind in ("CONVOLUTION3D", "POOLING3D"))
        sides = (side,) * (2 if own_time else axes)
    if len(sides) == 2 and axes == 3:
        time = deep[0] if deep else default
        if time is None:
            raise ValueError("it states no kernel along time")
        sides = (time, *sides)
    least = 0 if what == "pad" else 1
    if len(sides) != axes or not all(least <= side <= MAX_SIDE for side in sides):
        raise ValueError(f"its {what} is {sides} for {axes} axes")
    return sides


def only(message: Message, *names: str) -> Message:
    """The one nested message called one of ``names``; ``ValueError`` where there is none or another."""
    found = message.messages(*names)
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} of {' or '.join(names)}")
    return found[0]


def one(param: Message, name: str, default: int | None = None) -> int:
    """A size of at least 1; ``ValueError`` else."""
    given = param.integers(name)
    value = given[-1] if given else default
    if value is None or not 1 <= value <= MAX_SIDE:
        raise ValueError(f"its {name} is {value}")
    return value
