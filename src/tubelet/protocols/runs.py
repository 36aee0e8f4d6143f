"""Run folders of ``evaluate`` and ``train`` read back, whatever protocol wrote them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tubelet.errors import InputDataError
from tubelet.protocols.result import RESULT, Result, results_in
from tubelet.protocols.run_rows import SEEDS, Found, systems_of
from tubelet.protocols.systems import System
from tubelet.reporting.text import first_few
from tubelet.training.metrics import read_metrics

_ENVIRONMENT, _CONFIG, _REPORT = "env.json", "config.toml", "report.html"
_ROUND_ENDS = ("scores.json", "scores.npz", RESULT)


class NoRunError(InputDataError):
    """A folder holds no run that has figures."""


class UnfinishedRunError(InputDataError):
    """A run was stopped before it had its figures."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run.

    Attributes
    ----------
    folder, name
        Where it lies, and what it is called in tables.
    systems
        Its rows, in the order of its own report; empty where nothing was held out.
    record
        Its ``env.json``, or what its figures say of their making: versions, command.
    settings
        Its ``config.toml``; empty where there is none.
    planned
        Names of the two systems of a comparison that was named before the figures were seen: first and second of
        "second minus first"; None where none was.
    """

    folder: Path
    name: str
    systems: tuple[System, ...]
    record: Mapping[str, Any]
    settings: Mapping[str, Any]
    planned: tuple[str, str] | None = None

    @property
    def command(self) -> list[str]:
        """Arguments of the command that made it, without the program."""
        return [str(each) for each in self.record.get("command", [])][1:]

    @property
    def data_folder(self) -> Path | None:
        """``--data`` of that command."""
        given = option_of(self.command, "--data")
        return None if given is None else Path(given)

    def curves(self) -> Iterator[tuple[str, Path]]:
        """What was trained (seed, stream; empty for a single training) and the folder of it or of its folds."""
        if (self.folder / "metrics.csv").exists():
            yield "", self.folder
            return
        for child in sorted(path for path in self.folder.iterdir() if path.is_dir()):
            if next(child.glob("metrics.csv"), None) or next(child.glob("*/metrics.csv"), None):
                yield child.name, child


def option_of(words: Sequence[str], name: str) -> str | None:
    """What a command line gives an option, as ``--data DIR`` or ``--data=DIR``; None where it gives nothing."""
    for before, word in zip(["", *words], words, strict=False):
        if before == name:
            return word
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def run_folders(paths: Sequence[Path]) -> list[Path]:
    """The runs that are meant: a folder that holds runs, but is none, stands for them; each once, in order.

    Raises
    ------
    InputDataError
        A path does not exist, or is no folder.
    """
    found: list[Path] = []
    for path in paths:
        folder = path.parent if path.name in (RESULT, _REPORT) else path
        if not folder.is_dir():
            raise InputDataError("there is no such run folder", path=folder, remedy="check the spelling of the path")
        inside = [] if _is_run(folder) else sorted(child for child in folder.iterdir() if _is_run(child))
        found += inside or [folder]
    once = {folder.resolve(): folder for folder in reversed(found)}
    return [folder for folder in dict.fromkeys(found) if once[folder.resolve()] == folder]


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (_ENVIRONMENT, RESULT))


def run_names(folders: Sequence[Path]) -> list[str]:
    """What runs are called: their folders' names, with as many parents as it takes to tell them apart."""
    whole = [folder.resolve().parts for folder in folders]
    names = []
    for parts in whole:
        length = next(
            (n for n in range(1, len(parts)) if sum(other[-n:] == parts[-n:] for other in whole) == 1), len(parts)
        )
        names.append("/".join(parts[-length:]))
    return names


def read_run(folder: Path, name: str) -> Run:
    """One run.

    Raises
    ------
    UnfinishedRunError
        It has no figures yet; the sentence says which parts are missing.
    NoRunError
        The folder holds something else.
    InputDataError
        Its figures cannot be read: another program's, damaged, or of a version that wrote them otherwise.
    """
    held = _held(folder)
    record = _json(folder / _ENVIRONMENT) if (folder / _ENVIRONMENT).is_file() else held.get("provenance", {})
    try:
        found = [(keys, fields, Result.from_dict(fields)) for keys, fields in results_in(held)]
        systems = systems_of(folder, name, _with_notes(held, found))
        if not record and systems:
            record = systems[0].result.provenance
        planned = _planned(held)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        version = record.get("tool_version") if isinstance(record, dict) else None
        by = f"tubelet {version} wrote it otherwise" if version else "it does not say which version wrote it"
        raise InputDataError(
            "the figures of the run cannot be read",
            path=folder / RESULT,
            why=f"{by}: {type(error).__name__}: {error}",
            remedy="type the run's command again with this version",
        ) from error
    settings = folder / _CONFIG
    values = tomllib.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
    return Run(folder, name, tuple(systems), record, values, planned)


def _held(folder: Path) -> dict[str, Any]:
    """What ``result.json`` holds; of an ``evaluate`` before it wrote one, the same put together from its seeds'."""
    if (folder / RESULT).is_file():
        held = _json(folder / RESULT)
        if any(results_in(held)) or "note" in held:
            return held
        raise NoRunError("the file holds no figures of a run", path=folder / RESULT, remedy=_ACCEPTED)
    seeds = sorted(folder.glob(f"seed*/{RESULT}"))
    if seeds and (folder / _REPORT).is_file():
        return {SEEDS: {path.parent.name.removeprefix("seed"): _json(path) for path in seeds}}
    if not (folder / _ENVIRONMENT).is_file():
        raise NoRunError("the folder holds no run", path=folder, why=_found_there(folder), remedy=_ACCEPTED)
    raise UnfinishedRunError(
        "the run is not finished",
        path=folder,
        why=unfinished(folder),
        remedy="type its command again, it goes on where it was",
    )


_ACCEPTED = "give folders that tubelet evaluate or tubelet train wrote (extract tables go through evaluate descriptors)"


def _found_there(folder: Path) -> str | None:
    names = sorted(path.name for path in folder.iterdir())
    return f"it holds {first_few(names, shown=4)}" if names else "it is empty"


def unfinished(folder: Path) -> str:
    """Which parts of a run are done and which are not, in words."""
    rounds = sorted({path.parent for path in folder.rglob(_ENVIRONMENT)} - {folder}) or [folder]
    open_rounds = [one for one in rounds if not any((one / end).is_file() for end in _ROUND_ENDS)]
    if not open_rounds:
        return f"all {len(rounds)} rounds that were begun are done, further ones or the report are missing"
    told = []
    for one in open_rounds:
        steps = [row["step"] for row in read_metrics(one)]
        where = "" if one == folder else f"{one.relative_to(folder).as_posix()} "
        told.append(f"{where}{_progress(one, steps)}".strip())
    done = "" if rounds == [folder] else f"{len(rounds) - len(open_rounds)} of {len(rounds)} begun rounds are done; "
    return f"{done}open: {first_few(told, shown=5)}"


def _progress(folder: Path, steps: Sequence[float]) -> str:
    config = folder / _CONFIG
    train = tomllib.loads(config.read_text(encoding="utf-8")).get("train", {}) if config.is_file() else {}
    of = f" of {train['iterations']}" if "iterations" in train else ""
    return f"at step {steps[-1]:.0f}{of}" if steps else "not begun to train" if of else "without figures"


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputDataError("the file is not JSON", path=path, why=str(error), remedy="run it again") from error
    if not isinstance(found, dict):
        raise NoRunError("the file holds no figures of a run", path=path, remedy=_ACCEPTED)
    return found


def _planned(held: Mapping[str, Any]) -> tuple[str, str] | None:
    if not held.get("primary") or not held.get("differences"):
        return None
    first = held["differences"][0]
    return str(first["first"]), str(first["second"])


def _with_notes(held: Mapping[str, Any], found: Sequence[Found]) -> list[Found]:
    """The rows with notes that stand only at the top of the file: those on a named part go to the rows made of it.

    What cannot be told to be about some rows goes to all of them: a mark too many does less harm than one too few.
    """
    known = {note for _, _, result in found for note in result.notes}
    rows = list(found)
    for note in [str(each) for each in held.get("notes") or ()]:
        if note in known:
            continue
        part = note.partition(":")[0]
        about = [index for index, (_, fields, _) in enumerate(rows) if part in _parts(fields)]
        for index in about or range(len(rows)):
            keys, fields, result = rows[index]
            rows[index] = keys, fields, replace(result, notes=(*result.notes, note))
    return rows


def _parts(fields: Mapping[str, Any]) -> list[str]:
    """Names of the streams and features that a row of ``evaluate streams`` is made of, itself included."""
    made = str(fields.get("made_of", "")).removeprefix("SVM on ").rpartition(", ")[0]
    parts = [each.partition(" of ")[2] for each in made.split(" + ")] if made else []
    return [str(fields.get("protocol")), *parts, *map(str, fields.get("streams", ()))]


Skipped = Callable[[InputDataError], None]


def read_runs(paths: Sequence[Path], skipped: Skipped) -> list[Run]:
    """The runs that can be read; ``skipped`` is called with the error of each other one.

    Raises
    ------
    InputDataError
        A path does not exist, or not one run can be read.
    """
    folders = run_folders(paths)
    runs, errors = [], []
    for folder, name in zip(folders, run_names(folders), strict=True):
        try:
            runs.append(read_run(folder, name))
        except InputDataError as error:
            errors.append(error)
    if not runs and len(errors) == 1:
        raise errors[0]
    if not runs:
        raise InputDataError(
            f"not one of {len(errors)} runs can be reported", why=first_few([str(error) for error in errors], "; "),
            remedy=_ACCEPTED,
        )  # fmt: skip
    for each in errors:
        skipped(each)
    return runs
