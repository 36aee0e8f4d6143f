"""How stored flow is named: as dense_flow does, in a folder or in one ZIP file per video.

A video's flow is a folder with ``flow_x_00001.jpg``, ``flow_y_00001.jpg`` and so on, gray JPEG pictures of the two
components, quantized by `tubelet.flow.field.quantize`. The number counts pairs of frames from 1: pair k is frame k
and the next (both counted from 1 among the frames used). Backward flow, which dense_flow does not have, is
``back_x_00001.jpg``, ``back_y_00001.jpg``: it leads from frame k + 1 to frame k. With frames stored, frame k is
``img_00001.jpg``; there is one more than there are pairs. (dense_flow itself stored the second frame of each pair
under the pair's number.) ``flow.json`` says how all this was made.

Flow of other tools is read too: without ``flow.json``, named as above or ``x_00001.jpg``, ``y_00001.jpg``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tubelet.errors import InputDataError
from tubelet.flow.field import Direction
from tubelet.flow.record import StoreKind

ZIP_SUFFIX = ".flow.zip"

PREFIXES: dict[Direction, tuple[str, str]] = {
    "forward": ("flow_x_", "flow_y_"),
    "backward": ("back_x_", "back_y_"),
}
"""How the names of pictures of x and y begin."""

FRAME_PREFIX = "img_"

# What other tools call forward flow.
_FOREIGN = (PREFIXES["forward"], ("x_", "y_"), ("flow_x", "flow_y"))
_NAME = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]+)\.jpe?g", re.IGNORECASE)


def store_path(root: str | os.PathLike[str], video_id: str, kind: StoreKind, *, is_folder: bool) -> Path:
    """Where the flow of a video is stored: its id below ``root``, without a file's suffix."""
    name = PurePosixPath(video_id) if is_folder else PurePosixPath(video_id).with_suffix("")
    return Path(root, f"{name}{ZIP_SUFFIX}" if kind == "compact" else name)


def find_flow(root: str | os.PathLike[str], video_id: str) -> Path:
    """Where the flow of a video is, in whichever of the two forms.

    Raises
    ------
    InputDataError
        There is none.
    """
    for is_folder in (True, False):
        for kind in ("jpeg", "compact"):
            path = store_path(root, video_id, kind, is_folder=is_folder)
            if path.is_file() if kind == "compact" else path.is_dir():
                return path
    raise InputDataError(
        f"there is no stored flow of {video_id}", path=root, remedy="compute it: tubelet flow VIDEOS -o DIR"
    )


def pair_names(names: Iterable[str], direction: Direction, path: Path) -> list[tuple[str, str]]:
    """Names of the pictures of x and y, pair by pair; raises ``InputDataError`` where some are missing."""
    groups: dict[str, dict[int, str]] = {}
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None:
            groups.setdefault(match["prefix"], {})[int(match["number"])] = name
    candidates = _FOREIGN if direction == "forward" else (PREFIXES["backward"],)
    for x, y in candidates:
        if x in groups or y in groups:
            xs, ys = groups.get(x, {}), groups.get(y, {})
            numbers = sorted(xs)
            if numbers != sorted(ys) or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
                raise InputDataError(
                    "pictures of the stored flow are missing",
                    path=path,
                    why=f"{len(xs)} {x}*.jpg and {len(ys)} {y}*.jpg, which must have the same numbers without a gap",
                    remedy="compute it again: tubelet flow",
                )
            return [(xs[number], ys[number]) for number in numbers]
    raise InputDataError(
        "no flow is stored here",
        path=path,
        why=f"there is no {candidates[0][0]}00001.jpg",
        remedy="compute it: tubelet flow VIDEOS -o DIR",
    )
