"""How long descriptors take beside trajectories and optical flow: C3D's table 6, on the machine at hand.

What was measured becomes a table beside the paper's, with what differs and what puts it in doubt. `runtime_rounds`
measures, `runtime_turns` computes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from tubelet.protocols.published import MEMORY, PublishedFigure, published
from tubelet.protocols.runtime_turns import UCF101_FRAMES, UCF101_VIDEOS, Round, RuntimeRow, number
from tubelet.reporting.text import aligned

BUSY_SHARE = 0.9
"""A method that has less of its core than this was kept from it, by other work or by waiting for the disk."""
BUSY_LOAD = 0.5
LEAST_ROUNDS = 5

_UNITS = {"speed": " frames/s", "time": " h", "times as long as C3D": "x"}
_DENSE = 1 / 8  # network inputs for each frame of a long video, at a stride of 8 frames
_FEW_CLIPS = 0.95


@dataclass(frozen=True)
class RuntimeResult:
    """Table 6 again; ``print(result)`` shows it beside the paper's.

    Attributes
    ----------
    rows
        One for each method, in the order they were asked for.
    rounds
        What they were computed from.
    settings, provenance
        How it was measured, and where (JSON-ready).
    failed
        Videos that were left out of all methods, with the reason.
    """

    rows: tuple[RuntimeRow, ...]
    rounds: tuple[Round, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know, a sentence each; what puts the figures in doubt comes first."""
        return (*self.doubts, *self.differences)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What was not as it should have been on this machine."""
        found = []
        loads = [one.load for one in self.rounds if one.load is not None and one.load > BUSY_LOAD]
        if loads:
            found.append(
                f"the machine was busy: an average load of {max(loads):.1f} before the rounds began; measure again "
                "when nothing else runs"
            )
        short = [f"{row.method.short} {row.processor_share:.0%}" for row in self.rows if self._was_kept(row)]
        if short:
            found.append(
                f"methods had less than a core for themselves ({'; '.join(short)} of it): by the clock all are slower "
                "than they are; ratios of processor time, and their hours by it, are nearer to the truth"
            )
        if len(self.rounds) < LEAST_ROUNDS:
            rounds = _count(len(self.rounds), "round")
            found.append(f"{rounds} cannot say how much the figures vary; give it {LEAST_ROUNDS}")
        return tuple(found)

    @property
    def differences(self) -> tuple[str, ...]:
        """What is unlike the paper, and how it was measured."""
        found = []
        descriptors = [row for row in self.rows if row.method.is_descriptor]
        if descriptors:
            where = {
                "cpu": "on a processor here, and on a K40 graphics card in the paper",
                "cuda": "on another graphics card than the paper's K40",
            }[descriptors[0].method.device]
            found.append(f"the descriptor was computed {where}; the paper's ratios compare a card with a core")
            density = min(row.made_per_frame for row in descriptors)
            if density < _FEW_CLIPS * _DENSE:
                found.append(
                    f"short clips hold fewer network inputs ({density:.3f} for each frame; a long video has "
                    f"{_DENSE:.3f}), so that on long videos the descriptor takes up to {_DENSE / density - 1:.0%} more"
                )
        found += [f"{row.method.label}: {row.method.unlike}" for row in self.rows if row.method.unlike]
        found.append(
            "opening, demuxing, decoding, resizing, computing and writing are counted; starting Python, loading "
            "libraries and building the network are not, nor is each method's first run"
        )
        if not self.settings.get("held_to_cores", True):
            found.append(
                "this system cannot hold a process to a core: libraries were told how many threads to use, and the "
                "descriptor's decoder ran beside its network"
            )
        found.append("every file had been read before, so that no method paid for the disk")
        found.append(
            f"hours for UCF101 are extrapolated to its {UCF101_VIDEOS:,} videos of about {UCF101_FRAMES / 1e6:.1f} "
            "million frames, not measured"
        )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "rounds": [one.to_dict() for one in self.rounds],
            "published": [figure.to_dict() for figure in published(table="c3d_6")],
            "settings": dict(self.settings),
            "provenance": dict(self.provenance),
            "failed": [{"video": name, "error": why} for name, why in self.failed],
            "notes": list(self.notes),
        }

    def headline(self) -> str:
        """One line: what was measured on what."""
        videos = {one.video_id for one in self.rounds}
        frames = sum(self._frames())
        sizes = sorted({"{}x{}".format(*one.size_wh) for one in self.rounds})
        threads = self.settings.get("threads", 1)
        cores = "one core" if threads == 1 else f"{threads} cores"
        return (
            f"{len(self.rows)} methods in turns on the same {_count(len(videos), 'clip')} ({frames} frames in "
            f"{_count(len(self.rounds), 'round')}, {', '.join(sizes)}), {cores} each, reading and writing included"
        )

    def hours(self, row: RuntimeRow) -> str:
        """Hours for UCF101; of a method that was kept from its core also by processor time, which is nearer to it."""
        by_clock = f"{number(row.ucf101_h)} h"
        if row.processor_ucf101_h is None or not self._was_kept(row):
            return by_clock
        return f"{by_clock}, {number(row.processor_ucf101_h)} h by processor time"

    def share(self, row: RuntimeRow) -> str:
        """Which part of the cores it was given a method used."""
        return (
            "-" if row.processor_share is None else f"{row.processor_share / int(self.settings.get('threads', 1)):.0%}"
        )

    def _was_kept(self, row: RuntimeRow) -> bool:
        """Whether something else had the core; with several cores a method may leave some idle by itself."""
        alone = self.settings.get("threads", 1) == 1 and row.method.device == "cpu"
        return alone and row.processor_share is not None and row.processor_share < BUSY_SHARE

    def _frames(self) -> list[int]:
        return [next(iter(one.turns.values())).frames for one in self.rounds]

    def __str__(self) -> str:
        rows = [["method", "frames/s", "times as long", "by processor time", "of its cores", "UCF101", "in the paper"]]
        rows += [
            [
                row.method.label,
                row.fps.text(),
                "-" if row.times_as_long is None else row.times_as_long.text("x"),
                "-" if row.processor_times is None else row.processor_times.text("x"),
                self.share(row),
                self.hours(row),
                paper_text(row.method.row),
            ]
            for row in self.rows
        ]
        table = [f"  {line}" for line in aligned(rows, right=(1, 2, 3, 4, 5))]
        return "\n".join([self.headline(), *table, *(f"  note: {note}" for note in self.notes)])


def paper_figures(row: str) -> dict[str, PublishedFigure]:
    """A row of the paper's table 6 by what was counted: ``speed``, ``time``, ``times as long as C3D``."""
    return {figure.metric: figure for figure in published(table="c3d_6") if figure.method == row}


def paper_text(row: str, metrics: Collection[str] = tuple(_UNITS)) -> str:
    """A row of the paper's table in one line; what nobody has looked up is marked."""
    parts = [
        f"{figure.value:g}{_UNITS[metric]}" + (f" [{MEMORY}]" if figure.tag == MEMORY else "")
        for metric, figure in paper_figures(row).items()
        if metric in metrics
    ]
    return f"{row} {', '.join(parts)}"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" + "s" * (number != 1)
