"""Ways to keep a video's flow in one file: time, size and error. Why the compact store is a ZIP file of JPEGs.

Times are processor time of one thread per pair of frames, so that other work on the machine matters less. Reading
opens the file and takes 5 pairs from its middle, which is what a TSN snippet needs.
"""

from __future__ import annotations

import shutil
import statistics
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.flow_throughput import clips_of
from benchmarks.turns import row
from tubelet.flow.estimate import estimate_stream
from tubelet.flow.field import quantize
from tubelet.flow.layout import PREFIXES
from tubelet.flow.opencv import opencv
from tubelet.flow.shelf import FolderShelf, ZipShelf, new_folder_shelf, new_zip_shelf
from tubelet.video.jpeg import JpegDecoder
from tubelet.video.reader import Video

Levels = NDArray[np.uint8]  # (T, 2 H, W): y below x

PAIRS = 60
READ = 5


@dataclass(frozen=True)
class Way:
    """A format: ``write(path, levels)``, and ``read(path, first, count)`` which gives as many fields."""

    write: Callable[[Path, Levels], None]
    read: Callable[[Path, int, int], Levels]


def run(rounds: int, work: Path) -> list[dict[str, object]]:
    """A row per format and figure."""
    folder = (work / "formats").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clips, kind = clips_of(folder)
    videos = [_levels(clip) for clip in clips]
    found: dict[str, dict[str, list[float]]] = {}
    for turn in range(rounds):
        for name, way in _ways().items():
            figures = found.setdefault(name, {"write": [], "read": [], "kb": [], "error": []})
            for number, levels in enumerate(videos):
                path = folder / f"{name.replace(' ', '-')}-{number}-{turn}"
                started = time.thread_time()
                way.write(path, levels)
                written = time.thread_time()
                first = len(levels) // 2
                back = way.read(path, first, READ)
                figures["read"].append((time.thread_time() - written) / READ)
                figures["write"].append((written - started) / len(levels))
                figures["kb"].append(_bytes(path) / len(levels) / 1e3)
                figures["error"].append(float(np.abs(back.astype(int) - levels[first : first + READ]).mean()))
    shutil.rmtree(folder)
    rows = [row(f"clips: {kind}", "", "write ms / read ms / kB / mean error in levels, per pair")]
    for name, figures in found.items():
        middle = {key: statistics.median(values) for key, values in figures.items()}
        text = f"{1e3 * middle['write']:.2f} / {1e3 * middle['read']:.2f} / {middle['kb']:.1f} / {middle['error']:.3f}"
        rows.append(row(name, text, "", **middle))
    return rows


def _levels(clip: Path) -> Levels:
    frames = (frame.image for frame in Video(clip).iter_frames(0, PAIRS + 1))
    fields = [quantize(field[None])[0][0] for field in estimate_stream(frames)]
    return np.stack([np.concatenate([field[..., 0], field[..., 1]]) for field in fields])


def _bytes(path: Path) -> int:
    return sum(FolderShelf(path).sizes().values()) if path.is_dir() else path.stat().st_size


def _ways() -> dict[str, Way]:
    return {
        "jpeg 95, folder": Way(_write_folder, _read_folder),
        "jpeg 95, zip (compact store)": Way(_write_zip, _read_zip),
        "png 1, zip": Way(_write_png, _read_png),
        "zlib 1": _packed(lambda data: zlib.compress(data, 1), zlib.decompress),
        "zstd 1": _packed(pa.Codec("zstd", 1).compress, _unzstd),
        "ffv1, matroska": _film("ffv1", {"level": "3", "g": "1"}, "gray"),
        "h264 lossless, matroska": _film("libx264", {"preset": "ultrafast", "qp": "0", "g": "1"}, "gray"),
        "mjpeg q2, matroska": _film("mjpeg", {"qmin": "2", "qmax": "2"}, "yuvj420p"),
    }


def _pictures(levels: Levels, suffix: str, options: list[int]) -> Iterator[tuple[str, bytes]]:
    cv2 = opencv()
    half = levels.shape[1] // 2
    for number, field in enumerate(levels, 1):
        for prefix, plane in zip(PREFIXES["forward"], (field[:half], field[half:]), strict=True):
            yield f"{prefix}{number:05d}.{suffix}", cv2.imencode(f".{suffix}", plane, options)[1].tobytes()


def _write_folder(path: Path, levels: Levels) -> None:
    with new_folder_shelf(path) as shelf:
        for name, data in _pictures(levels, "jpg", [opencv().IMWRITE_JPEG_QUALITY, 95]):
            shelf.add(name, data)


def _write_zip(path: Path, levels: Levels) -> None:
    with new_zip_shelf(path) as shelf:
        for name, data in _pictures(levels, "jpg", [opencv().IMWRITE_JPEG_QUALITY, 95]):
            shelf.add(name, data)


def _write_png(path: Path, levels: Levels) -> None:
    with new_zip_shelf(path) as shelf:
        for name, data in _pictures(levels, "png", [opencv().IMWRITE_PNG_COMPRESSION, 1]):
            shelf.add(name, data)


def _read_jpegs(shelf: FolderShelf | ZipShelf, first: int, count: int) -> Levels:
    decoder = JpegDecoder(1 << 26)
    numbers = range(first + 1, first + count + 1)
    return np.stack(
        [
            np.concatenate([decoder.decode_gray(shelf.read(f"{prefix}{n:05d}.jpg")) for prefix in PREFIXES["forward"]])
            for n in numbers
        ]
    )


def _read_folder(path: Path, first: int, count: int) -> Levels:
    return _read_jpegs(FolderShelf(path), first, count)


def _read_zip(path: Path, first: int, count: int) -> Levels:
    shelf = ZipShelf(path)
    try:
        return _read_jpegs(shelf, first, count)
    finally:
        shelf.close()


def _read_png(path: Path, first: int, count: int) -> Levels:
    shelf = ZipShelf(path)
    cv2 = opencv()

    def plane(name: str) -> Levels:
        picture: Levels = cv2.imdecode(np.frombuffer(shelf.read(name), np.uint8), cv2.IMREAD_GRAYSCALE)
        return picture

    numbers = range(first + 1, first + count + 1)
    fields = [np.concatenate([plane(f"{prefix}{n:05d}.png") for prefix in PREFIXES["forward"]]) for n in numbers]
    shelf.close()
    return np.stack(fields)


def _unzstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").decompress(data[4:], decompressed_size=int.from_bytes(data[:4], "little")))


def _packed(pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]) -> Way:
    """Every pair packed alone, one after the other, behind a table of lengths."""
    is_zlib = unpack is zlib.decompress

    def write(path: Path, levels: Levels) -> None:
        raw = [field.tobytes() for field in levels]
        parts = [bytes(pack(data)) if is_zlib else len(data).to_bytes(4, "little") + bytes(pack(data)) for data in raw]
        head = np.array([*levels.shape, *map(len, parts)], np.int64)
        path.write_bytes(len(head).to_bytes(8, "little") + head.tobytes() + b"".join(parts))

    def read(path: Path, first: int, count: int) -> Levels:
        with path.open("rb") as file:
            head = np.frombuffer(file.read(8 * int.from_bytes(file.read(8), "little")), np.int64)
            shape, lengths = head[1:3], head[3:]
            file.seek(int(lengths[:first].sum()), 1)
            parts = [unpack(file.read(int(length))) for length in lengths[first : first + count]]
        return np.stack([np.frombuffer(part, np.uint8).reshape(shape) for part in parts])

    return Way(write, read)


def _film(codec: str, options: dict[str, str], pixels: str) -> Way:
    """Every pair a key frame of a film."""

    def write(path: Path, levels: Levels) -> None:
        with av.open(str(path), "w", format="matroska") as out:
            stream = out.add_stream(codec, rate=25, options=options)
            stream.height, stream.width = levels.shape[1:]
            stream.pix_fmt = pixels
            stream.codec_context.thread_count = 1
            for field in levels:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(field, "gray").reformat(format=pixels)))
            out.mux(stream.encode(None))

    def read(path: Path, first: int, count: int) -> Levels:
        fields: list[Levels] = []
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            assert stream.time_base is not None
            container.seek(round(first / 25 / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                assert frame.time is not None
                if round(frame.time * 25) >= first:
                    plane = frame.planes[0]
                    pixels_ = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
                    fields.append(pixels_[: frame.height, : frame.width].copy())
                if len(fields) == count:
                    break
        return np.stack(fields)

    return Way(write, read)
