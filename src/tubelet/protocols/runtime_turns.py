"""Turns and rounds of the runtime table, and what they come to: speeds, ratios, hours for the whole of UCF101."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tubelet.errors import UsageError

UCF101_VIDEOS = 13_320
UCF101_FRAMES = 2_500_000
"""About: 13,320 videos of 27 hours at 25 frames/s. The paper's 313 frames/s and its hours go with it."""


@dataclass(frozen=True)
class Method:
    """What is measured.

    Attributes
    ----------
    name
        As ``--methods`` calls it: ``c3d``, ``c3d_bf16``, ``idt``, ``tvl1``, ``dis``.
    label
        What it is in words: "c3d fc6, float32".
    row
        The paper's row that it stands beside.
    unlike
        What sets it apart from that row, a few words; empty where nothing does.
    unit
        What it makes: clips, trajectories, fields.
    device
        ``cpu`` or ``cuda``.
    start_s
        Seconds from the process's start until it was ready: Python, libraries, the network. Not part of any speed.
    warm_up_s
        Seconds of its first run, over the first frames of a video. Not part of any speed either.
    """

    name: str
    label: str
    row: str
    unlike: str
    unit: str
    device: str = "cpu"
    start_s: float = 0.0
    warm_up_s: float = 0.0

    @property
    def short(self) -> str:
        """What it is called in a list; of a descriptor that is the network, whatever ``--methods`` calls it."""
        return self.label if self.is_descriptor else self.name

    @property
    def is_descriptor(self) -> bool:
        """Whether it is what the others are compared with."""
        return self.row == "C3D"


@dataclass(frozen=True)
class Turn:
    """One method, once over one video.

    Attributes
    ----------
    frames
        Frames of the video, the same for all methods of a round.
    seconds
        From opening the file until everything made of it was written.
    processor_s
        Processor time that the method's process and those below it took meanwhile; None where nobody counts it.
    made
        How many of the method's units came out.
    nbytes
        Bytes written.
    """

    frames: int
    seconds: float
    processor_s: float | None
    made: int
    nbytes: int


@dataclass(frozen=True)
class Round:
    """One video, done by every method in turn.

    Attributes
    ----------
    video_id
        Which video.
    size_wh
        Its width and height in pixels.
    load
        Average load of the machine in the minute before the run of rounds began; None where the system does not say.
    turns
        By the methods' names.
    """

    video_id: str
    size_wh: tuple[int, int]
    load: float | None
    turns: Mapping[str, Turn]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "size_wh": list(self.size_wh)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Round:
        """The inverse of `to_dict`."""
        width, height = values["size_wh"]
        turns = {name: Turn(**turn) for name, turn in values["turns"].items()}
        return cls(str(values["video_id"]), (int(width), int(height)), values["load"], turns)


@dataclass(frozen=True)
class Spread:
    """Median, least and largest of the rounds' figures."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Of at least one figure."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def text(self, unit: str = "") -> str:
        """``4.62 (4.51–4.70)``: three digits, more where a figure has them before the point; ``1.00`` of equal ones."""
        if self.low == self.high:
            return f"{number(self.median)}{unit}"
        return f"{number(self.median)}{unit} ({number(self.low)}–{number(self.high)})"


@dataclass(frozen=True)
class RuntimeRow:
    """One method's figures.

    Attributes
    ----------
    method
        What was measured.
    rounds, frames
        Rounds, and frames of all of them together.
    fps
        Frames per second of the clock, reading and writing included.
    times_as_long
        How many times as long as the descriptor it took for the same video; None where no descriptor was measured.
    processor_fps
        Frames per second of processor time; None where it is not known.
    processor_times
        As ``times_as_long``, of processor time: what it would be without other work on the machine. None where the
        descriptor was computed by a graphics card.
    processor_share
        Processor time as a share of what one core had to give, all rounds together.
    made_per_frame
        Units for each frame.
    bytes_per_frame
        Bytes written for each frame.
    """

    method: Method
    rounds: int
    frames: int
    fps: Spread
    times_as_long: Spread | None
    processor_fps: Spread | None
    processor_times: Spread | None
    processor_share: float | None
    made_per_frame: float
    bytes_per_frame: float

    @property
    def ucf101_h(self) -> float:
        """Hours for all of UCF101 at this speed: extrapolated from a few clips, not measured."""
        return UCF101_FRAMES / self.fps.median / 3600

    @property
    def processor_ucf101_h(self) -> float | None:
        """The same by processor time: hours of a core that does nothing else; None where that time is not known."""
        return None if self.processor_fps is None else UCF101_FRAMES / self.processor_fps.median / 3600

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **asdict(self),
            "ucf101_h_extrapolated": self.ucf101_h,
            "processor_ucf101_h_extrapolated": self.processor_ucf101_h,
        }


def runtime_rows(methods: Sequence[Method], rounds: Sequence[Round]) -> tuple[RuntimeRow, ...]:
    """Each method's speed and its ratio to the descriptor's, over the rounds.

    Parameters
    ----------
    methods
        In the order of the table; the first descriptor among them is what the others are compared with.
    rounds
        At least one, each with a turn of every method.

    Raises
    ------
    UsageError
        There are no rounds, or in one of them the methods did not see the same frames.
    """
    if not rounds:
        raise UsageError("no round was finished", remedy="give it more --seconds, or fewer --most-frames")
    for one in rounds:
        if len({turn.frames for turn in one.turns.values()}) != 1 or set(one.turns) < {m.name for m in methods}:
            raise UsageError(f"the methods did not see the same frames of {one.video_id}")
    base = next((method for method in methods if method.is_descriptor), None)
    return tuple(_row(method, rounds, base) for method in methods)


def _row(method: Method, rounds: Sequence[Round], base: Method | None) -> RuntimeRow:
    turns = [one.turns[method.name] for one in rounds]
    frames = sum(turn.frames for turn in turns)
    times = None
    if base is not None:
        times = Spread.of(turn.seconds / one.turns[base.name].seconds for turn, one in zip(turns, rounds, strict=True))
    processor = [turn.processor_s for turn in turns if turn.processor_s]
    known = len(processor) == len(turns)
    on_cpu = base is not None and base.device == "cpu" and method.device == "cpu"
    based = [one.turns[base.name].processor_s for one in rounds] if base is not None and on_cpu else []
    both = known and bool(based) and all(based)
    return RuntimeRow(
        method=method,
        rounds=len(turns),
        frames=frames,
        fps=Spread.of(turn.frames / turn.seconds for turn in turns),
        times_as_long=times,
        processor_fps=Spread.of(t.frames / s for t, s in zip(turns, processor, strict=True)) if known else None,
        processor_times=Spread.of(s / b for s, b in zip(processor, based, strict=True) if b) if both else None,
        processor_share=sum(processor) / sum(turn.seconds for turn in turns) if known else None,
        made_per_frame=sum(turn.made for turn in turns) / frames,
        bytes_per_frame=sum(turn.nbytes for turn in turns) / frames,
    )


def number(value: float) -> str:
    """Three digits, and all of those before the point: ``0.312``, ``4.62``, ``15.1``, ``1,234``."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.995 else f"{value:.3f}"
