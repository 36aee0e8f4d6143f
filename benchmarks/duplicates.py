"""How well copies of videos are told from near misses, and how fast: the figures behind the limits of `Rule`.

``python -m benchmarks.duplicates accuracy FOLDER…``: of every video below the folders copies are made (compressed hard,
scaled, trimmed twice, at half the rate, letterboxed, mirrored), and all are compared with all originals; then the
originals with each other, where evidence from 5 on is told, whatever the rule wants.

``python -m benchmarks.duplicates speed FOLDER COUNT``: COUNT videos against COUNT, of 7.25 s each. Their hashes are
those of the folder's videos with bits turned around, which makes others of them; every tenth is a part of one.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tubelet.clips.decode import ClipDecoder
from tubelet.clips.frame_hash import CHANGE, PICTURE, STEP_S, Hashes
from tubelet.datasets.alignment import Rule
from tubelet.datasets.catalog import open_dataset
from tubelet.datasets.discovery import is_frame_folder
from tubelet.datasets.duplicates import find_duplicates
from tubelet.datasets.fingerprints import Fingerprints, fingerprint_videos, joined
from tubelet.reporting.strips import resized
from tubelet.video.encode import encode
from tubelet.video.reader import Video

Images = NDArray[np.uint8]

_MOST_FRAMES = 260
_HARD = {"crf": "35", "preset": "veryfast"}
_GOOD = {"crf": "25", "preset": "veryfast"}
_SCALE = {"flags": "+qscale", "global_quality": str(5 * 118)}


def originals(folders: list[Path], workers: int = 2) -> tuple[Fingerprints, dict[str, Path]]:
    """Fingerprints of all videos below the folders, and where each lies."""
    parts, files = [], {}
    with ClipDecoder(workers=workers) as decoder:
        for folder in folders:
            first = next(iter(open_dataset("videos", folder).items))
            fps = 5.0 if is_frame_folder(folder / first.path) else None
            manifest = open_dataset("videos", folder, fps=fps)
            parts.append(fingerprint_videos(manifest, decoder, workers=workers)[0])
            files |= manifest.files()
    return joined(parts), files


def copies(frames: Images, fps: float) -> Iterator[tuple[str, Images, float, str, dict[str, str]]]:
    """Kind, frames, rate, codec and its options of every copy."""
    n = len(frames)
    first, second = int(0.2 * n) + 1, int(0.35 * n) + 1
    yield "x264 at crf 35", frames, fps, "libx264", _HARD
    yield "half the width, mpeg4", resized(frames, max_width=frames.shape[2] // 2), fps, "mpeg4", _SCALE
    yield "60 % of it, x264", frames[first : int(0.8 * n)], fps, "libx264", {"crf": "28", "preset": "veryfast"}
    yield "40 % of it, mpeg4", frames[second : second + max(24, int(0.4 * n))], fps, "mpeg4", _SCALE
    yield "half the rate", frames[::2], fps / 2, "libx264", _GOOD
    yield "24 black rows above and below", np.pad(frames, ((0, 0), (24, 24), (0, 0), (0, 0))), fps, "libx264", _GOOD
    yield "mirrored", frames[:, :, ::-1], fps, "libx264", _GOOD


def accuracy(folders: list[Path]) -> None:
    """Print how many copies are found, by kind and length, and the near misses among the originals."""
    looks, files = originals(folders)
    found: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    wrong = []
    with tempfile.TemporaryDirectory() as folder, ClipDecoder() as decoder:
        for name, path in files.items():
            if path.is_dir():
                continue
            with Video(path) as video:
                frames, fps = video.frames(range(min(len(video), _MOST_FRAMES))), video.fps
            for kind, images, rate, codec, options in copies(frames, fps):
                even = np.ascontiguousarray(images[:, : images.shape[1] // 2 * 2, : images.shape[2] // 2 * 2])
                copy = encode(Path(folder) / "copy.mp4", even, fps=rate, codec=codec, options=options)
                hashes, _ = decoder.fingerprint(copy)
                pairs = find_duplicates(looks, Fingerprints((kind,), (hashes,), (0.0,)), mirror=kind == "mirrored")
                found[kind].append((len(hashes) * STEP_S, any(pair.a == name for pair in pairs)))
                wrong += [f"{kind} of {name}: {pair.sentence()}" for pair in pairs if pair.a != name]
    print(f"{len(looks)} videos\n\n| copies | found | of at least 1 s | wrong |\n| --- | ---: | ---: | ---: |")
    for kind, outcomes in found.items():
        long = [right for seconds, right in outcomes if seconds >= 1]
        false = sum(text.startswith(f"{kind} of ") for text in wrong)
        print(f"| {kind} | {sum(right for _, right in outcomes)}/{len(outcomes)} | {sum(long)}/{len(long)} | {false} |")
    print(*wrong, sep="\n")
    print("\nevidence of the originals for each other, where there is any:")
    pairs = find_duplicates(looks, rule=replace(Rule(), evidence=5.0), mirror=True)
    for pair in sorted(pairs, key=lambda pair: -pair.evidence):
        print(f"  {pair.evidence:5.1f}  {pair.sentence()}")


def speed(folder: Path, count: int) -> None:
    """Print what comparing ``count`` videos with ``count`` takes."""
    real = [hashes for hashes in originals([folder])[0].hashes if len(hashes) >= 40]

    def made(seed: int) -> list[Hashes]:
        rng = np.random.default_rng(seed)
        videos = []
        for _ in range(count):
            hashes = real[rng.integers(len(real))]
            hashes = np.concatenate([hashes] * (1 + 116 // len(hashes)))[:116].copy()
            for column in (PICTURE, CHANGE):
                says = hashes[:, column] != 0
                hashes[says, column] ^= np.uint64(rng.integers(1, 1 << 63))
            videos.append(hashes)
        return videos

    def named(letter: str, videos: list[Hashes]) -> Fingerprints:
        return Fingerprints(tuple(f"{letter}{i}" for i in range(count)), tuple(videos), (0.0,) * count)

    first, second = made(1), made(2)
    second[::10] = [hashes[16:100].copy() for hashes in first[::10]]
    begun, processor = time.monotonic(), time.process_time()
    pairs = find_duplicates(named("a", first), named("b", second))
    right = sum(pair.a[1:] == pair.b[1:] for pair in pairs)
    print(
        f"{count:,} x {count:,} videos of 7.25 s: {time.process_time() - processor:.1f} s of processor time "
        f"({time.monotonic() - begun:.1f} s), {right} of {len(second[::10])} copies found, {len(pairs) - right} wrong, "
        f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["accuracy"] and sys.argv[2:]:
        accuracy([Path(argument) for argument in sys.argv[2:]])
    elif sys.argv[1:2] == ["speed"] and len(sys.argv) == 4:
        speed(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(__doc__)
