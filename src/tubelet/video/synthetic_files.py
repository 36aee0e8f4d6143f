"""Synthetic motion videos as real files, and a data set of them.

The codec must not tell the direction of time, so every frame is coded by itself at a constant quantizer
(Motion JPEG with a fixed scale, one thread): decoding a reversed video gives the reversed pictures, bit for
bit. FFmpeg's default rate control would spend bits by what came before.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tubelet.artifacts import write_json, write_text
from tubelet.errors import InputDataError, UsageError
from tubelet.provenance import derive_seed
from tubelet.video.encode import encode
from tubelet.video.guard import GuardedPool
from tubelet.video.synthetic_motion import DEFAULT_DIFFICULTY, MOTION_CLASSES, Difficulty, draw_motion
from tubelet.video.synthetic_render import draw_scene, draw_texture, looks_of, render

FORMAT_VERSION = 1
"""Raised whenever the same seed would give other pictures or other names."""

CODEC = "mjpeg"
# A quantizer scale of 3 (of 1–31; 118 of FFmpeg's units each) for every block of every frame.
CODEC_OPTIONS = {"flags": "+qscale", "global_quality": str(3 * 118)}

DEFAULT_SPLIT_SIZES: Mapping[str, int] = {"train": 2000, "test": 400}

Order = Literal["forward", "backward", "shuffled", "still"]
"""How a video shows its frames: as they are; last first; in an order drawn from its seed; one drawn frame all along."""

_CARD = "dataset.json"
_METADATA = "metadata.csv"
_KIND = "tubelet synthetic motion"
_CHUNK = 25  # videos a worker makes between two reports


@dataclass(frozen=True)
class _Entry:
    """One video of a data set."""

    file_name: str  # POSIX, relative to the root
    label: str
    split: str
    seed: int


def make_video(
    path: str | os.PathLike[str],
    label: str,
    seed: int,
    *,
    difficulty: Difficulty = DEFAULT_DIFFICULTY,
    order: Order = "forward",
) -> Path:
    """Make one synthetic video file.

    Parameters
    ----------
    path
        Where the file shall be, with the suffix .avi.
    label
        One of `MOTION_CLASSES`.
    seed
        Everything is drawn from it, and only the velocity's direction from the label: with one seed, a class
        and its reverse share scene, first frame and speed.
    difficulty
        Size, length, speeds and clutter.
    order
        How it shows its frames: every frame is coded by itself, so those of all orders are equal, bit for bit.

    Returns
    -------
    Path
        ``path``: the same bytes for the same arguments and FFmpeg version.

    Raises
    ------
    UsageError
        For an unknown class or a suffix that holds no Motion JPEG.
    """
    trajectory = draw_motion(label, seed, difficulty).trajectory(difficulty)
    frames = render(draw_scene(seed, difficulty), trajectory)
    return write_video(path, frames[frame_order(order, seed, len(frames))], fps=difficulty.fps)


def frame_order(order: Order, seed: int, n_frames: int) -> NDArray[np.int64]:
    """(T,) int64: which frame is shown when, in the video with this seed."""
    rng = np.random.default_rng(derive_seed(seed, "order"))
    forward = np.arange(n_frames, dtype=np.int64)
    if order == "still":
        return np.full(n_frames, rng.integers(n_frames), dtype=np.int64)
    return {"forward": forward, "backward": forward[::-1]}.get(order, rng.permutation(forward))


def write_video(path: str | os.PathLike[str], frames: NDArray[np.uint8], *, fps: float = 25) -> Path:
    """Encode (T,H,W,3) uint8 RGB frames, each by itself at a constant quantizer, as this file's top says."""
    return encode(path, frames, fps=fps, codec=CODEC, options=CODEC_OPTIONS)


def make_dataset(
    root: str | os.PathLike[str],
    split_sizes: Mapping[str, int] = DEFAULT_SPLIT_SIZES,
    seed: int = 0,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    *,
    difficulty: Difficulty = DEFAULT_DIFFICULTY,
    order: Order = "forward",
) -> Path:
    """Make a data set of synthetic videos, or finish one that was begun.

    Writes ``root/<split>/<class>/<class>_00000.avi`` …, then ``metadata.csv`` (file_name, label, texture,
    split, seed; with the looks ``colors`` color and both in place of texture) and ``dataset.json`` (what it is,
    seed, difficulty, counts). A video depends on seed, split,
    class and number alone, so workers and interruptions leave no trace; whole files are kept.

    Parameters
    ----------
    root
        A new or empty folder, or one that an earlier call began.
    split_sizes
        Videos in each split, spread evenly over the classes. A later call may ask for more, not for fewer.
    seed
        Seed of the whole set.
    workers
        Processes that draw and encode; 1 works in this process.
    progress
        Called with (videos there, videos in all) as they come.
    difficulty
        Size, length, speeds and clutter.
    order
        How the videos show their frames; sets that differ in it alone show the same frames under the same names.

    Returns
    -------
    Path
        ``root``.

    Raises
    ------
    UsageError
        For a size that is no positive number, or when the folder holds a set made with another seed,
        difficulty or version, or a larger one.
    InputDataError
        When the folder holds something else.
    """
    folder = Path(root)
    bad = [name for name, size in split_sizes.items() if size < 1 or PurePosixPath(name).name != name]
    if bad or not split_sizes or workers < 1:
        raise UsageError(
            "A data set needs named splits of at least one video each, and at least one worker",
            path=folder,
            why=f"got {dict(split_sizes)} and {workers} workers",
        )
    if order not in get_args(Order):
        raise UsageError(f"frames cannot be shown {order!r}", remedy=f"use one of {', '.join(get_args(Order))}")
    card = _card(split_sizes, seed, difficulty, order)
    _check_folder(folder, card)
    entries = list(_entries(split_sizes, seed))
    missing = [entry for entry in entries if not _is_whole(folder / entry.file_name)]
    there = len(entries) - len(missing)
    if progress is not None:
        progress(there, len(entries))
    if not missing and _is_finished(folder, card):
        return folder
    write_json(folder / _CARD, card)  # first, so that an interrupted folder knows what it is
    with closing(_make(folder, missing, difficulty, order, workers)) as batches:
        for made in batches:
            there += made
            if progress is not None:
                progress(there, len(entries))
    write_text(folder / _METADATA, _metadata(entries, difficulty))
    write_json(folder / _CARD, {**card, "complete": True})
    return folder


def _entries(split_sizes: Mapping[str, int], seed: int) -> Iterator[_Entry]:
    for split, size in split_sizes.items():
        for index in range(size):
            label, number = MOTION_CLASSES[index % len(MOTION_CLASSES)], index // len(MOTION_CLASSES)
            yield _Entry(
                file_name=f"{split}/{label}/{label}_{number:05d}.avi",
                label=label,
                split=split,
                seed=derive_seed(seed, split, label, number),
            )


def _card(split_sizes: Mapping[str, int], seed: int, difficulty: Difficulty, order: Order) -> dict[str, Any]:
    counts = {
        split: {label: len(range(first, size, len(MOTION_CLASSES))) for first, label in enumerate(MOTION_CLASSES)}
        for split, size in split_sizes.items()
    }
    return {
        "kind": _KIND,
        "version": FORMAT_VERSION,
        "seed": seed,
        "difficulty": difficulty.to_dict(),
        "description": difficulty.describe(),
        "codec": {"name": CODEC, "options": CODEC_OPTIONS},
        "classes": list(MOTION_CLASSES),
        difficulty.looks: list(looks_of(difficulty)),
        **({} if order == "forward" else {"order": order}),
        "counts": counts,
        "complete": False,
    }


def _check_folder(folder: Path, card: dict[str, Any]) -> None:
    """Refuse to mix this set with anything else."""
    if not folder.exists():
        return
    found = _read_card(folder)
    if found is None:
        # Only what an interrupted first call can leave, its own unfinished card, is no one else's.
        if not folder.is_dir() or any(not entry.name.startswith(f".{_CARD}.") for entry in folder.iterdir()):
            raise InputDataError(
                "The folder is not empty and holds no synthetic data set",
                path=folder,
                remedy="choose a new folder",
            )
        return
    for setting in ("version", "seed", "difficulty", "order"):
        if found.get(setting) != card.get(setting):
            raise UsageError(
                f"The folder holds a synthetic data set made with another {setting}",
                path=folder,
                why=f"{found.get(setting)} there, {card.get(setting)} asked for",
                remedy="choose another folder, delete this one, or ask for the same",
            )
    for split, counts in dict(found["counts"]).items():
        if sum(counts.values()) > sum(card["counts"].get(split, {}).values()):
            raise UsageError(
                f"The folder holds a larger synthetic data set ({sum(counts.values())} videos in {split!r})",
                path=folder,
                remedy="choose another folder, delete this one, or ask for at least as many",
            )


def _read_card(folder: Path) -> dict[str, Any] | None:
    """The folder's ``dataset.json``; None where there is none or it is another program's."""
    try:
        card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and card.get("kind") == _KIND else None


def _is_finished(folder: Path, card: dict[str, Any]) -> bool:
    return (folder / _METADATA).is_file() and _read_card(folder) == {**card, "complete": True}


def _is_whole(path: Path) -> bool:
    """Whether the AVI file is there and as long as its own header says."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            length = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        return False
    return head[:4] == b"RIFF" and int.from_bytes(head[4:], "little") + 8 == length


def _metadata(entries: list[_Entry], difficulty: Difficulty) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    two_factors = difficulty.looks == "colors"
    writer.writerow(["file_name", "label", *(["color", "both"] if two_factors else ["texture"]), "split", "seed"])
    for entry in entries:
        look = looks_of(difficulty)[draw_texture(entry.seed, difficulty)]
        looks = [look, joint_label(look, entry.label)] if two_factors else [look]
        writer.writerow([entry.file_name, entry.label, *looks, entry.split, entry.seed])
    return text.getvalue()


def joint_label(color: str, motion: str) -> str:
    """The label of a video by color and motion together; `parted_label` is the inverse."""
    return f"{color} {motion}"


def parted_label(label: str) -> tuple[str, str]:
    """Color and motion of a label by both."""
    color, _, motion = label.partition(" ")
    return color, motion


def _make(
    folder: Path, missing: list[_Entry], difficulty: Difficulty, order: Order, workers: int
) -> Generator[int, None, None]:
    """Make the missing videos; yields how many came since the last time."""
    requests: list[dict[str, Any]] = [
        {
            "folder": str(folder),
            "difficulty": difficulty.to_dict(),
            "order": order,
            "videos": [[entry.file_name, entry.label, entry.seed] for entry in missing[at : at + _CHUNK]],
        }
        for at in range(0, len(missing), _CHUNK)
    ]
    if workers == 1 or len(requests) < 2:
        for request in requests:
            for _ in make_chunk(request):
                yield 1
        return
    with GuardedPool(f"{__name__}:{make_chunk.__name__}", workers) as pool:
        threads = ThreadPoolExecutor(workers)
        try:
            for done in as_completed([threads.submit(_count, pool, request) for request in requests]):
                yield done.result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _count(pool: GuardedPool, request: dict[str, Any]) -> int:
    return sum(1 for _ in pool.run(request))


def make_chunk(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], NDArray[Any] | None]]:
    """Make the videos of one request, in a child process of `make_dataset`; one message for each."""
    difficulty = Difficulty.from_dict(request["difficulty"])
    for file_name, label, seed in request["videos"]:
        make_video(Path(request["folder"], file_name), label, seed, difficulty=difficulty, order=request["order"])
        yield {"made": file_name}, None
