"""Rounds of the runtime table: every method, each in a process of its own, does the same video in turn."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tubelet.errors import InputDataError, TubeletError, UsageError
from tubelet.protocols.runtime_clips import Clip, Clips
from tubelet.protocols.runtime_task import TASK
from tubelet.protocols.runtime_turns import Method, Round, Turn
from tubelet.reporting.terminal import duration
from tubelet.video.guard import GuardedPool

ROUNDS_FILE = "rounds.jsonl"
"""A line for each start of the methods' processes, for each finished round and for each video that was left out."""

_STALL_S = 24 * 3600.0  # a long video's TV-L1 says nothing for hours
_MEMORY_BYTES = 1 << 40
_WORK = "work"

NAMES = ("c3d", "c3d_bf16", "idt", "tvl1", "dis")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Descriptor:
    """The network whose descriptors are measured.

    Attributes
    ----------
    model
        A model folder, or ``untrained:NAME``.
    name, layer
        What it is called, and which layer is extracted.
    device
        ``cpu`` or ``cuda``.
    """

    model: str
    name: str
    layer: str
    device: str = "cpu"


def known_methods(names: Sequence[str], descriptor: Descriptor) -> tuple[Method, ...]:
    """What is known of methods before they run.

    Raises
    ------
    UsageError
        No name, one twice, or one that is none of `NAMES`.
    """
    odd = [name for name in names if name not in NAMES]
    if odd or not names or len(set(names)) < len(names):
        what = f"there is no method {odd[0]!r}" if odd else "every method is named once"
        raise UsageError(what, remedy=f"name some of {', '.join(NAMES)}, separated by commas")
    found = {
        "idt": Method("idt", "iDT: improved dense trajectories", "iDT", "", "trajectories"),
        "tvl1": Method(
            "tvl1",
            "TV-L1 flow",
            "Brox flow, GPU",
            "another method than the paper's, which is Brox's (2004), and on a processor",
            "fields",
        ),
        "dis": Method(
            "dis",
            "DIS flow",
            "Brox flow, GPU",
            "a method of 2016 and not the paper's, which is Brox's (2004), and on a processor",
            "fields",
        ),
    }
    for name, precision in (("c3d", "float32"), ("c3d_bf16", "bfloat16")):
        unlike = "" if descriptor.name == "c3d" else "another network than the paper's, which is C3D"
        label = f"{descriptor.name} {descriptor.layer}, {precision}" + (", GPU" if descriptor.device == "cuda" else "")
        found[name] = Method(name, label, "C3D", unlike, "clips", descriptor.device)
    return tuple(found[name] for name in names)


class Journal:
    """The finished rounds of a run, a line each, and how the methods started last; a torn last line is no round."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rounds: list[Round] = []
        self.starts: dict[str, dict[str, float]] = {}
        self.failed: list[tuple[str, str]] = []
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for number, line in enumerate(lines):
            try:
                found = json.loads(line)
                if "starts" in found:
                    self.starts |= found["starts"]
                elif "failed" in found:
                    self.failed.append((found["failed"], found["why"]))
                else:
                    self.rounds.append(Round.from_dict(found))
            except (ValueError, KeyError, TypeError) as error:
                if number < len(lines) - 1:
                    raise InputDataError(
                        "the rounds of an earlier run cannot be read",
                        path=path,
                        why=f"line {number + 1}",
                        remedy="start anew with --overwrite",
                    ) from error
                path.write_text("".join(f"{kept}\n" for kept in lines[:number]), encoding="utf-8")

    def started(self, starts: Mapping[str, Mapping[str, float]]) -> None:
        """Note how long the methods took to start."""
        self.starts |= {name: dict(facts) for name, facts in starts.items()}
        self._append({"starts": self.starts})

    def add(self, one: Round) -> None:
        """Keep a finished round."""
        self.rounds.append(one)
        self._append(one.to_dict())

    def left_out(self, failed: Sequence[tuple[str, str]]) -> None:
        """Note videos that are left out; those that were noted before are not noted again."""
        for video_id, why in failed:
            if video_id not in dict(self.failed):
                self.failed.append((video_id, why))
                self._append({"failed": video_id, "why": why})

    def methods(self, methods: Sequence[Method]) -> tuple[Method, ...]:
        """The methods with the times of their starts."""
        none = {"start_s": 0.0, "warm_up_s": 0.0}
        known = [{**none, **self.starts.get(method.name, {})} for method in methods]
        return tuple(
            replace(method, start_s=facts["start_s"], warm_up_s=facts["warm_up_s"])
            for method, facts in zip(methods, known, strict=True)
        )

    def _append(self, value: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


class Waiting:
    """A method's process: ready, and idle until its turn."""

    def __init__(self, method: Method, descriptor: Descriptor, threads: int, out: Path) -> None:
        self.method = method
        self._out = os.path.abspath(out)
        self._pool = GuardedPool(
            TASK, 1, memory_bytes=_MEMORY_BYTES, stall_timeout_s=_STALL_S, recycle_after=1 << 30, start_timeout_s=600.0
        )
        self._prepare = {"operation": "prepare", "method": method.name, "threads": threads, **asdict(descriptor)}

    def start(self) -> float:
        """Start the process and build what it needs; the seconds that took."""
        began = time.perf_counter()
        self._ask(self._prepare)
        return time.perf_counter() - began

    def turn(self, clip: Clip) -> Turn:
        """Do a video once.

        Raises
        ------
        InputDataError
            The method cannot deal with it, or read another number of frames than are there.
        """
        turn = Turn(**self._ask({"operation": "turn", "path": str(clip.path), "out": self._out}))
        if turn.frames != clip.frames:
            raise InputDataError(
                f"{self.method.short} read {turn.frames} frames", path=clip.video_id, why=f"it has {clip.frames}"
            )
        return turn

    def close(self) -> None:
        """End the process."""
        self._pool.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return list(self._pool.run(request))[-1].header


def run_rounds(
    methods: Sequence[Method],
    descriptor: Descriptor,
    clips: Clips,
    journal: Journal,
    *,
    rounds: int,
    threads: int = 1,
    seconds: float | None = None,
    folder: Path,
    say: Say = lambda text: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Measure until there are so many rounds, or until another would end too late; each finished one is kept.

    Parameters
    ----------
    methods, descriptor
        What is measured, from `known_methods`.
    clips
        The video of each round.
    journal
        Rounds that are finished already, and where new ones go.
    rounds
        How many there shall be in all.
    threads
        Cores, and threads of the libraries, for each method.
    seconds
        No round is begun that would end later than this after the call, judging by those before; one is always done.
    folder
        Where methods write, and what they write is deleted.
    say
        Told what runs and how long it will take.
    clock
        Seconds, increasing; tests give their own. Methods have clocks of their own.

    Raises
    ------
    InputDataError
        Not one of the videos can be measured on.
    MissingExtraError, UsageError
        A method cannot run here.
    """
    if len(journal.rounds) >= rounds:
        return
    called, load = clock(), load_average()
    with ExitStack() as stack:
        running = []
        for method in methods:
            waiting = Waiting(method, descriptor, threads, folder / _WORK)
            stack.callback(waiting.close)
            running.append(waiting)
        first = clips[len(journal.rounds)]
        journal.left_out(clips.failed)
        warm_up = clips.warm_up()
        expected = _start(running, warm_up, journal, first, say)
        left = rounds - len(journal.rounds)
        say(f"{left} rounds of about {duration(expected)}: {duration(left * expected)}")
        began, before = clock(), len(journal.rounds)
        while len(journal.rounds) < rounds:
            done, now = len(journal.rounds) - before, clock()
            if done and seconds is not None and now - called + (now - began) / done > seconds:
                say(f"another round would not end within {duration(seconds)}: {done} of {left} are done")
                return
            one = _round(running, clips, len(journal.rounds), load, say)
            journal.left_out(clips.failed)
            if one is not None:
                journal.add(one)
                left_s = (rounds - len(journal.rounds)) * (clock() - began) / (len(journal.rounds) - before)
                say(_told(one, methods, len(journal.rounds), rounds, left_s))


def _start(running: Sequence[Waiting], warm_up: Clip, journal: Journal, first: Clip, say: Say) -> float:
    """Start every process and let it run once; the seconds that a round may take."""
    starts: dict[str, dict[str, float]] = {}
    expected = 0.0
    for waiting in running:
        start_s = waiting.start()
        turn = again = waiting.turn(warm_up)
        starts[waiting.method.name] = {"start_s": start_s, "warm_up_s": turn.seconds}
        if waiting.method.is_descriptor:  # its first run starts a decoder and loads the table's library, for seconds
            again = waiting.turn(warm_up)
        expected += again.seconds * first.frames / warm_up.frames
        say(
            f"{waiting.method.short}: ready after {start_s:.1f} s, first run over {turn.frames} frames "
            f"{turn.seconds:.1f} s"
        )
    journal.started(starts)
    return expected


def _round(running: Sequence[Waiting], clips: Clips, number: int, load: float | None, say: Say) -> Round | None:
    """One video by every method, or None where one of them cannot deal with it."""
    clip = clips[number]
    turns: dict[str, Turn] = {}
    for waiting in running:
        try:
            turns[waiting.method.name] = waiting.turn(clip)
        except TubeletError as error:
            if not isinstance(error, InputDataError):
                raise
            clips.drop(clip, str(error))
            say(f"{clip.video_id} is left out of all methods: {error}")
            waiting.start()  # what a file has done to a process is not known
            return None
    return Round(clip.video_id, clip.size_wh, load, turns)


def _told(one: Round, methods: Sequence[Method], done: int, rounds: int, left_s: float) -> str:
    turns = [(method.short, one.turns[method.name]) for method in methods]
    speeds = "; ".join(f"{name} {turn.frames / turn.seconds:.2f}" for name, turn in turns)
    left = f"; about {duration(left_s)} left" if done < rounds else ""
    return f"[{done}/{rounds}] {one.video_id}: {speeds} frames/s{left}"


def load_average() -> float | None:
    """Processes that wanted a core in the last minute, on average; None where the system does not say."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
