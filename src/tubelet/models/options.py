"""Checks of what a user asks a network for: names with a suggestion, numbers with their range."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from tubelet.errors import UsageError

# Nobody means more, and a tensor's size stays a number that PyTorch can count.
_LARGEST_INT = 1_000_000
_LARGEST_FLOAT = 100.0


def suggestion(wrong: str, known: Iterable[str], list_all: str) -> str:
    """The remedy for a misspelled name: the nearest known one, or where to find them all."""
    names = list(known)
    close = get_close_matches(wrong, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"{list_all}: {', '.join(names)}"


def positive_int(option: str, value: object) -> int:
    """``value`` as an integer from one to a million.

    Raises
    ------
    UsageError
        If it is none (booleans and fractions included).
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 1 <= value <= _LARGEST_INT or value != int(value):  # type: ignore[operator,call-overload]
        raise UsageError(f"{option}={value!r} is not a whole number from 1 to {_LARGEST_INT:,}")
    return int(value)  # type: ignore[call-overload,no-any-return]


def fraction(option: str, value: object) -> float:
    """``value`` as a float in [0, 1).

    Raises
    ------
    UsageError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise UsageError(f"{option}={value!r} is not a number of at least 0 and below 1")
    return float(value)


def positive_float(option: str, value: object) -> float:
    """``value`` as a float above zero, at most a hundred.

    Raises
    ------
    UsageError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LARGEST_FLOAT:
        raise UsageError(f"{option}={value!r} is not a number above 0 and at most {_LARGEST_FLOAT:g}")
    return float(value)


def boolean(option: str, value: object) -> bool:
    """``value`` itself, which has to be True or False.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if not isinstance(value, bool):
        raise UsageError(f"{option}={value!r} is neither True nor False")
    return value


def whole_numbers(option: str, value: object, count: int) -> tuple[int, ...]:
    """``value`` as ``count`` whole numbers of at least one.

    Raises
    ------
    UsageError
        If it is no such sequence.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != count:
        raise UsageError(f"{option}={value!r} is not {count} whole numbers")
    return tuple(positive_int(option, number) for number in value)


def kernel_depths(option: str, value: object, count: int) -> tuple[int, ...]:
    """``value`` as ``count`` odd kernel depths in frames; one number serves all layers.

    Raises
    ------
    UsageError
        If a depth is even (such a kernel has no middle frame) or the number of depths is wrong.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        depths = tuple(positive_int(option, depth) for depth in value)
    else:
        depths = (positive_int(option, value),) * count
    if len(depths) != count or any(depth % 2 == 0 for depth in depths):
        raise UsageError(f"{option}={value!r} is not one odd number of frames, or {count} of them")
    return depths


def pixels(option: str, value: object) -> int | tuple[int, int]:
    """``value`` as the side of a square, or as (height, width).

    Raises
    ------
    UsageError
        If it is neither.
    """
    if not isinstance(value, Sequence) or isinstance(value, str):
        return positive_int(option, value)
    if len(value) != 2:
        raise UsageError(f"{option}={value!r} is neither one number of pixels nor height and width")
    return positive_int(option, value[0]), positive_int(option, value[1])


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, rounded to the nearest whole number, at least one."""
    return max(1, round(channels * width))
