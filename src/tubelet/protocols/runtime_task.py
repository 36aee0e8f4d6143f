"""One method of the runtime table in a process of its own, which waits for its turns.

The process is a child of `tubelet.video.guard.GuardedPool`: a file that crashes a decoder ends one turn and not the
measurement. It is held to so many cores from its first request on; what it starts (the descriptor's decoder) is too.
"""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av.logging

from tubelet.allocator import set_allocator
from tubelet.errors import InputDataError, UsageError
from tubelet.protocols.runtime_turns import Turn
from tubelet.video.limits import Limits

TASK = "tubelet.protocols.runtime_task:answer"

Item = tuple[dict[str, Any], None]
Made = tuple[int, int]
Work = Callable[[Path, Path], Made]
"""From a video and the place for what is made of it to the frames that were read and the units made."""

_FOLDER_FPS = 25.0  # folders of frames say no rate, and nothing here depends on it

_works: dict[str, Work] = {}
"""What this process was told to be; it stays between requests."""


def answer(request: dict[str, Any]) -> Iterator[Item]:
    """Answer one request of `tubelet.protocols.runtime_rounds`.

    Parameters
    ----------
    request
        ``operation``. To ``"prepare"`` also ``method``, ``threads``, ``model``, ``layer``, ``device``; to ``"turn"``
        also ``path`` of the video and ``out``, a folder for what is made of it, which is deleted afterwards.

    Yields
    ------
    tuple
        For ``prepare``: ``{cores}``, to how many the process is held (None where the system knows no such thing). For
        ``turn``: the fields of `tubelet.protocols.runtime_turns.Turn`.

    Raises
    ------
    UsageError
        The method, its model, layer or device does not exist.
    MissingExtraError
        OpenCV is not installed, or not its part with TV-L1.
    VideoError
        The video cannot be read.
    """
    match request["operation"]:
        case "prepare":
            cores = hold_to_cores(int(request["threads"]))
            av.logging.set_level(None)
            set_allocator()
            _works["work"] = _prepared(request)
            yield {"cores": cores}, None
        case "turn":
            yield asdict(_turn(_works["work"], Path(request["path"]), Path(request["out"]))), None
        case other:
            raise UsageError(f"no such operation on a method: {other}")


def _turn(work: Work, path: Path, out: Path) -> Turn:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    try:
        spent, started = processor_seconds(), time.perf_counter()
        frames, made = work(path, out)
        seconds, after = time.perf_counter() - started, processor_seconds()
        nbytes = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return Turn(frames, seconds, None if spent is None or after is None else after - spent, made, nbytes)


def _prepared(request: dict[str, Any]) -> Work:
    threads = int(request["threads"])
    match request["method"]:
        case "c3d" | "c3d_bf16":
            return _descriptor(request, threads)
        case "idt":
            return _trajectories(threads)
        case "tvl1" | "dis":
            return _flow(request["method"], threads)
        case other:
            raise UsageError(f"no such method: {other}")


def _descriptor(request: dict[str, Any], threads: int) -> Work:
    """``tubelet extract``: from a video to rows of a table."""
    import torch

    from tubelet.descriptors.extractor import Extractor
    from tubelet.descriptors.runner import extract
    from tubelet.descriptors.store import DescriptorTable
    from tubelet.models.folder import load_model
    from tubelet.models.registry import create_model

    torch.set_num_threads(threads)
    name = str(request["model"])
    model = create_model(name.removeprefix("untrained:"), seed=0) if name.startswith("untrained:") else load_model(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an untrained network says little about videos: its speed is asked for
        extractor = Extractor(
            model,
            (str(request["layer"]),),
            stride_frames=8,
            precision="bfloat16" if request["method"] == "c3d_bf16" else "float32",
            device=str(request["device"]),
        )

    def work(path: Path, out: Path) -> Made:
        summary = extract([path], extractor, out, fps=_FOLDER_FPS if path.is_dir() else None)
        if summary.failures:
            raise InputDataError(summary.failures[0].error)
        frames = DescriptorTable(out).rows(["frames_decoded"])["frames_decoded"]
        return int(frames[0]), summary.rows

    return work


def _trajectories(threads: int) -> Work:
    """``tubelet extract --model idt``: from a video to a file of its trajectories."""
    from tubelet.baselines.idt.settings import IdtSettings
    from tubelet.baselines.idt.store import stored_settings, trajectories_path
    from tubelet.baselines.idt.task import answer as store
    from tubelet.flow.opencv import opencv

    opencv().setNumThreads(threads)
    settings = stored_settings(IdtSettings())

    def work(path: Path, out: Path) -> Made:
        record = _stored(store, path, trajectories_path(out, path.stem), settings)
        return int(record["frames"]), int(record["kept"])

    return work


def _flow(algorithm: str, threads: int) -> Work:
    """``tubelet flow``: from a video to a folder of JPEG pictures."""
    from tubelet.flow.algorithms import find_algorithm
    from tubelet.flow.opencv import opencv
    from tubelet.flow.record import FlowSettings
    from tubelet.flow.task import answer as store

    opencv().setNumThreads(threads)
    find_algorithm(algorithm).solver()  # its part of OpenCV is there
    settings = FlowSettings(algorithm=algorithm).to_dict()

    def work(path: Path, out: Path) -> Made:
        record = _stored(store, path, out / path.stem, settings)
        return int(record["frames"]), int(record["frames"]) - 1

    return work


def _stored(
    store: Callable[[dict[str, Any]], Iterator[Item]], path: Path, target: Path, settings: dict[str, Any]
) -> dict[str, Any]:
    """The record of what the workers of flow and trajectories make of a video, here in this process."""
    request = {
        "operation": "store",
        "path": str(path),
        "target": str(target),
        "video_id": path.name,
        "settings": settings,
        "limits": asdict(Limits()),
    }
    record: dict[str, Any] = {}
    for header, _ in store(request):
        record = header.get("record", record)
    return record


def can_hold_to_cores() -> bool:
    """Whether the system can bind a process to cores: Linux can, macOS and Windows cannot."""
    return hasattr(os, "sched_setaffinity")


def hold_to_cores(cores: int) -> int | None:
    """Let this process, and what it starts, run on so many of its cores only: the last, as the first serve interrupts.

    Returns
    -------
    int or None
        How many it is held to; None where the system cannot do that (macOS), so that libraries alone are told.
    """
    if not can_hold_to_cores():
        return None
    allowed = sorted(os.sched_getaffinity(0))[-cores:]
    os.sched_setaffinity(0, allowed)
    return len(allowed)


def processor_seconds() -> float | None:
    """Processor time of this process and of all below it so far; None where the system has no ``/proc``.

    Living processes are read from clocks of nanoseconds and children that have ended in microseconds, since a turn over
    a tiny clip takes a few of the hundredths of a second that ``/proc`` counts in.
    """
    try:
        below = _of_living(os.getpid())
    except OSError:
        return None
    import resource  # not on Windows, which has no /proc either

    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + below


def clock_of(pid: int) -> float:
    """Processor time of a process with all of its threads (``clock_getcpuclockid``).

    Raises
    ------
    OSError
        There is no such process.
    """
    return time.clock_gettime((~pid << 3) | 2)  # Linux's number of that clock: CPUCLOCK_SCHED of a process


def _of_living(root: int) -> float:
    ticks, parents, times = os.sysconf("SC_CLK_TCK"), {}, {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            text = Path("/proc", name, "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        fields = text.rpartition(")")[2].split()  # the name before may hold anything
        parents[int(name)] = int(fields[1])
        own, ended = (sum(map(int, fields[start : start + 2])) / ticks for start in (11, 13))
        times[int(name)] = own, ended
    total = 0.0
    for pid, (own, ended) in times.items():
        above = parents.get(pid)
        while above is not None and above not in (0, root):
            above = parents.get(above)
        if above == root:
            with suppress(OSError):  # it has ended, and its clock with it
                own = clock_of(pid)
            total += own + ended
    return total
