"""The clips that runtimes are measured on: the first frames of sound videos, the same files for every method."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging

from tubelet.artifacts import new_folder, write_atomically
from tubelet.clips.decode import ClipDecoder
from tubelet.errors import InputDataError, TubeletError, VideoError
from tubelet.video.container import open_container
from tubelet.video.fingerprint import frame_names
from tubelet.video.guard import GuardedPool
from tubelet.video.limits import Limits
from tubelet.video.report import DecodeReport

LEAST_FRAMES = 17
"""A clip of a C3D network, and a trajectory of 15 steps that has ended."""
LEAST_SIDE = 32
"""Pixels: a trajectory's patch."""

# Where FFmpeg reads a container under one name and writes it under another.
_MUXERS = {"mov": "mp4", "mpeg": "vob"}


@dataclass(frozen=True)
class Clip:
    """What every method reads of one video.

    Attributes
    ----------
    video_id
        The video's name.
    path
        The file or folder that is read: the video itself, or its first frames.
    frames
        How many frames come out of it.
    size_wh
        Width and height in pixels.
    """

    video_id: str
    path: Path
    frames: int
    size_wh: tuple[int, int]


def spread_order(count: int) -> list[int]:
    """The numbers from 0 to count - 1 so ordered that those at the front, however many, lie spread over all.

    Halves are halved again (van der Corput), so that more rounds later only add to those that were done.
    """
    bits = max(1, (count - 1).bit_length())
    mirrored = [int(f"{number:0{bits}b}"[::-1], 2) for number in range(1 << bits)]
    return [number for number in mirrored if number < count]


class Clips:
    """Sound clips one after the other, each made and checked when it is asked for.

    Parameters
    ----------
    videos
        Id and path of each video.
    folder
        Where first frames are put.
    most_frames
        Frames of each video that are used, or 0 for all of them.
    limit
        Only so many videos, spread over all.
    without
        Ids of videos that are known not to be sound.

    Attributes
    ----------
    failed
        Videos that were left out so far, with the reason.
    """

    def __init__(
        self,
        videos: Sequence[tuple[str, Path]],
        folder: Path,
        most_frames: int,
        *,
        limit: int | None = None,
        without: Collection[str] = (),
    ) -> None:
        self.failed: list[tuple[str, str]] = []
        self._folder = folder
        self._most_frames = most_frames
        ordered = [videos[index] for index in spread_order(len(videos))[:limit]]
        self._waiting = [(name, path) for name, path in ordered if name not in without]
        self._sound: list[Clip] = []
        self._decoder = ClipDecoder()
        self._cutter = GuardedPool("tubelet.protocols.runtime_clips:cut")

    def __getitem__(self, index: int) -> Clip:
        """The clip of a round; after the last sound one comes the first again.

        Raises
        ------
        InputDataError
            Not one of the videos is sound.
        """
        while len(self._sound) <= index and self._waiting:
            video_id, path = self._waiting.pop(0)
            try:
                self._sound.append(self._made(video_id, path))
            except TubeletError as error:
                if not isinstance(error, InputDataError):
                    raise
                self.failed.append((video_id, str(error)))
        if not self._sound:
            why = self.failed[0][1] if self.failed else "there are none"
            raise InputDataError("not one of the videos can be measured on", why=why, remedy="name others")
        return self._sound[index % len(self._sound)]

    def drop(self, clip: Clip, why: str) -> None:
        """Leave a clip out from now on: a method could not deal with it."""
        self._sound.remove(clip)
        self.failed.append((clip.video_id, why))

    def warm_up(self) -> Clip:
        """The first `LEAST_FRAMES` frames of the first clip: what every method runs over before it is measured."""
        first = self[0]
        return self._cut(first.video_id, first.path, LEAST_FRAMES, "warm-up", least=2)

    def close(self) -> None:
        """End the processes, and delete what was cut."""
        self._decoder.close()
        self._cutter.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Clips:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()

    def _made(self, video_id: str, path: Path) -> Clip:
        if self._most_frames:
            return self._cut(video_id, path, self._most_frames, f"{len(self._sound) + len(self.failed):04d}")
        return self._checked(video_id, path, path)

    def _cut(self, video_id: str, path: Path, frames: int, name: str, least: int = LEAST_FRAMES) -> Clip:
        target = Path(os.path.abspath(self._folder), name + ("" if path.is_dir() else path.suffix))
        request = {"path": os.path.abspath(path), "target": str(target), "frames": frames, "limits": asdict(Limits())}
        list(self._cutter.run(request))
        return self._checked(video_id, target, path, least)

    def _checked(self, video_id: str, path: Path, original: Path, least: int = LEAST_FRAMES) -> Clip:
        """Decode it once, to know that it is sound and how many frames it has; then it lies in the system's cache."""
        report = verdict = self._measure(path)
        if report.status != "ok" and path != original:
            # Of two frames that XviD packs into one packet the cut may lose the second: the video is sound.
            verdict = self._measure(original)
        problem = None
        if verdict.status != "ok":
            problem = verdict.problems[0]
        elif report.frames_decoded < least:
            problem = f"it has {report.frames_decoded} frames, and {least} are needed"
        elif min(report.width, report.height) < LEAST_SIDE:
            problem = f"{report.width}x{report.height} pixels are less than the {LEAST_SIDE} of a trajectory's patch"
        if problem is not None:
            raise VideoError("the video cannot be measured on", path=video_id, why=problem, remedy="leave it out")
        return Clip(video_id, path, report.frames_decoded, (report.width, report.height))

    def _measure(self, path: Path) -> DecodeReport:
        return self._decoder.measure(path, 25.0 if path.is_dir() else None)


def cut(request: dict[str, Any]) -> Iterator[tuple[dict[str, Any], None]]:
    """Copy the first frames of a video as they are stored, without decoding or encoding; runs in a guarded process.

    Packets are copied in the order of decoding, so every frame has those that it refers to.

    Parameters
    ----------
    request
        ``path``, ``target``, ``frames`` and ``limits``.

    Raises
    ------
    VideoError
        The file cannot be read, or what is in it cannot be written again.
    """
    path, target, frames = Path(request["path"]), Path(request["target"]), int(request["frames"])
    if path.is_dir():
        with new_folder(target) as folder:
            for name in frame_names(path)[:frames]:
                shutil.copyfile(path / name, folder / name)
    else:
        av.logging.set_level(None)  # damaged files make FFmpeg talk without end
        limits = Limits(**request["limits"])
        write_atomically(target, lambda temporary: _copy_packets(path, temporary, frames, limits), durable=False)
    yield {"target": str(target)}, None


def _copy_packets(path: Path, target: Path, frames: int, limits: Limits) -> None:
    with open_container(path, limits) as (container, stream, header):
        muxer = _MUXERS.get(header.container, header.container)
        try:
            with av.open(os.fspath(target), mode="w", format=muxer) as made:
                copy = made.add_stream_from_template(stream)
                count = 0
                for packet in container.demux(stream):
                    if not packet.size:
                        continue
                    packet.stream = copy
                    made.mux(packet)
                    count += 1
                    if count == frames:
                        break
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(
                "the first frames of the video cannot be copied",
                path=path,
                why=str(error),
                remedy="measure on whole videos with --most-frames 0",
            ) from error
