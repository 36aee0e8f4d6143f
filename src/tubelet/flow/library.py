"""Is the flow of these videos stored, whole, and of one kind? Asked once, before hours of training, not after.

Networks do not survive another kind of flow: levels of TV-L1 and of DIS differ, and with another bound or size of
frames the same motion has another level. So a trained network remembers the kind that it saw, and others are refused.
"""

from __future__ import annotations

import json
import os
import shlex
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tubelet.clips.modality import Modality
from tubelet.errors import InputDataError, UsageError
from tubelet.failures import FAILED_FILE
from tubelet.flow.check import looks_complete
from tubelet.flow.layout import find_flow
from tubelet.flow.record import FlowSettings
from tubelet.flow.store import StoredFlow, open_flow
from tubelet.video.stale import same_source

QUANTIZATION = "level = round(255 (v + bound) / (2 bound)), halves to even"

_COMPARED = ("algorithm", "bound", "step", "warped", "resize_hw")


@dataclass(frozen=True)
class FlowKind:
    """How flow was made, as far as levels depend on it.

    Attributes
    ----------
    algorithm, bound, step, warped, resize_hw, quality
        As in `tubelet.flow.record.FlowSettings`; ``read``, 20 and None where nothing says. The quality of the JPEG
        pictures is written down, not compared.
    parameters
        Of the algorithm; likewise.
    """

    algorithm: str
    bound: float
    step: int | None = None
    warped: bool | None = None
    resize_hw: tuple[int, int] | None = None
    quality: int | None = field(default=None, compare=False)
    parameters: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, stored: StoredFlow) -> FlowKind:
        """The kind of one video's flow."""
        if stored.record is None:
            return cls(stored.algorithm, stored.bound)
        s = stored.record.settings
        return cls(s.algorithm, s.bound, s.step, s.warped, s.resize_hw, s.quality, stored.record.parameters)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the order of channels and the rule of quantization."""
        return {
            "algorithm": self.algorithm,
            "bound": self.bound,
            "step": self.step,
            "warped": self.warped,
            "resize_hw": None if self.resize_hw is None else list(self.resize_hw),
            "quality": self.quality,
            "parameters": dict(self.parameters),
            "order": "xy",
            "quantization": QUANTIZATION,
        }

    def differences(self, other: Mapping[str, Any]) -> list[str]:
        """What differs from another kind, given as `to_dict`: ``"bound 10 instead of 20"``."""
        own = self.to_dict()
        return [
            f"{name.removesuffix('_hw')} {_text(own[name])} instead of {_text(other.get(name))}"
            for name in _COMPARED
            if own[name] != other.get(name)
        ]


@dataclass(frozen=True)
class FlowSurvey:
    """What is stored for some videos.

    Attributes
    ----------
    root
        The folder.
    kind
        How it was made; of several kinds, that of most videos.
    notes
        What a reader of figures should know.
    """

    root: str
    kind: FlowKind
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, for provenance; where it lies is not part of it."""
        return {**self.kind.to_dict(), **({"notes": list(self.notes)} if self.notes else {})}


def survey_flow(
    root: str | os.PathLike[str],
    videos: Mapping[str, Path],
    modality: Modality,
    *,
    source: str | os.PathLike[str],
    trained_with: Mapping[str, Any] | None = None,
    any_flow: bool = False,
) -> FlowSurvey:
    """Look at the stored flow of videos; nothing is decoded.

    Parameters
    ----------
    root
        What ``tubelet flow`` wrote, or flow of other tools in its layout.
    videos
        Path of each video, by its id. Those that ``tubelet flow`` listed in ``failed.jsonl`` may lack flow.
    modality
        What the network reads: plain or warped flow, in one direction or both.
    source
        Where the videos are from, for the command that computes what is missing.
    trained_with
        The kind that a network was trained with, `FlowKind.to_dict`.
    any_flow
        Accept other and several kinds, with a note.

    Raises
    ------
    InputDataError
        Flow is missing, damaged, or was computed from another version of its video; one error for all.
    UsageError
        The flow is of several kinds, or of another than the network's.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise InputDataError(
            "there is no folder of stored flow", path=folder, remedy=_remedy(source, folder, None, modality)
        )
    excused = _failed(folder)
    kinds: Counter[FlowKind] = Counter()
    settings: FlowSettings | None = None
    problems: dict[str, list[str]] = {}
    for video_id, path in videos.items():
        try:
            stored = _open(find_flow(folder, video_id))
            problem, kind = _problem(stored, path, modality), FlowKind.of(stored)
        except (InputDataError, UsageError) as error:
            problem, kind = (
                ("damaged" if isinstance(error, InputDataError) and _is_there(folder, video_id) else "missing"),
                None,
            )
            if problem == "missing" and video_id in excused:
                continue
        if kind is not None:
            kinds[kind] += 1
            settings = settings or (None if stored.record is None else stored.record.settings)
        if problem is not None:
            problems.setdefault(problem, []).append(video_id)
    if problems:
        count = sum(map(len, problems.values()))
        raise InputDataError(
            f"the stored flow of {count} of {len(videos)} videos cannot be used",
            path=folder,
            why="; ".join(f"{len(ids)} {problem}, such as {ids[0]}" for problem, ids in problems.items()),
            remedy=_remedy(source, folder, settings, modality),
        )
    if not kinds:
        raise InputDataError("not one video has flow", path=folder, remedy=f"see {FAILED_FILE} in it")
    wanted = trained_with or kinds.most_common(1)[0][0].to_dict()
    if wanted["algorithm"] != "read":
        size = wanted["resize_hw"]
        settings = FlowSettings(
            algorithm=wanted["algorithm"],
            bound=wanted["bound"],
            step=wanted["step"],
            resize_hw=None if size is None else (size[0], size[1]),
        )
    # Another folder: what is stored in this one may be of use to another network.
    remedy = _remedy(source, "DIR", settings, modality)
    return _agreed(folder, kinds, modality, trained_with, any_flow, remedy)


def _agreed(
    folder: Path,
    kinds: Counter[FlowKind],
    modality: Modality,
    trained_with: Mapping[str, Any] | None,
    any_flow: bool,
    remedy: str,
) -> FlowSurvey:
    kind = kinds.most_common(1)[0][0]
    notes = []
    if len(kinds) > 1:
        other = next(one for one in kinds if one != kind)
        notes.append(f"the stored flow is of {len(kinds)} kinds: {', '.join(other.differences(kind.to_dict()))}")
    warped = modality.name == "warped_flow"
    if kind.warped is not None and kind.warped != warped:
        stored = "warped" if kind.warped else "not warped"
        notes.append(f"the network takes {modality.name.replace('_', ' ')}, and the stored flow is {stored}")
    if trained_with is not None and (different := ", ".join(kind.differences(trained_with))):
        notes.append(f"the stored flow is not what the network was trained with: {different}")
    if notes and not any_flow:
        raise UsageError(notes[0], path=folder, remedy=f"{remedy}, or mark the result with --any-flow")
    if kind.algorithm == "read":
        notes.append(f"nothing says how the flow was computed; its bound is taken for {kind.bound:g} pixels")
    return FlowSurvey(os.fspath(folder), kind, tuple(notes))


def _problem(stored: StoredFlow, path: Path, modality: Modality) -> str | None:
    if stored.record is None:
        return "without backward flow" if modality.both_directions else None
    if modality.both_directions and stored.record.settings.direction != "both":
        return "without flow in both directions"
    if not modality.both_directions and stored.direction != "forward":
        return "without forward flow"
    if not looks_complete(stored.path, stored.record):
        return "incomplete"
    return None if same_source(path, stored.record) else "computed from another version of the video"


def _open(path: Path) -> StoredFlow:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said once, in the notes
        with open_flow(path) as stored:
            return stored


def _is_there(folder: Path, video_id: str) -> bool:
    try:
        return find_flow(folder, video_id).exists()
    except InputDataError:
        return False


def _failed(folder: Path) -> set[str]:
    """Videos that ``tubelet flow`` could not read; they are told when they are to be read."""
    try:
        lines = (folder / FAILED_FILE).read_text(encoding="utf-8").splitlines()
        return {str(json.loads(line)["video_id"]) for line in lines}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remedy(
    source: str | os.PathLike[str], folder: Path | str, settings: FlowSettings | None, modality: Modality
) -> str:
    return f"run: {flow_command(source, folder, settings, modality)}"


def flow_command(
    source: str | os.PathLike[str], folder: str | os.PathLike[str], settings: FlowSettings | None, modality: Modality
) -> str:
    """The command that computes the flow of videos as a network reads it, in the way of flow that is there already."""
    s = settings or FlowSettings()
    words = ["tubelet", "flow", os.fspath(source), "-o", os.fspath(folder)]
    if s.algorithm != FlowSettings().algorithm:
        words += ["--algorithm", s.algorithm]
    if modality.both_directions:
        words += ["--direction", "both"]
    if s.bound != FlowSettings().bound:
        words += ["--bound", f"{s.bound:g}"]
    if s.step != 1:
        words += ["--step", str(s.step)]
    if modality.name == "warped_flow":
        words.append("--warped")
    if s.resize_hw is not None:
        words += ["--resize", f"{s.resize_hw[1]}x{s.resize_hw[0]}"]
    if s.store != "jpeg":
        words += ["--store", s.store]
    return shlex.join(words)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, reversed(value)))  # width x height, as tubelet flow takes it
    return f"{value:g}" if isinstance(value, float) else "unknown" if value is None else str(value)
