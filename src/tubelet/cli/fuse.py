"""``tubelet evaluate fuse``: score files of several streams become one prediction, with what that gains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer.core import TyperCommand

from tubelet.cli.options import JsonOption, SeedOption, one_of, print_json, say
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tubelet.protocols.fusion import By
    from tubelet.protocols.score_file import ScoreFile

WAYS = ("scores", "softmax", "svm")


class FuseCommand(TyperCommand):
    """Options that take several values, as in ``--weights 1 1.5``: Click has none, it wants the option repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further value."""
        return super().parse_args(ctx, repeat_options(args))


def repeat_options(args: Sequence[str]) -> list[str]:
    """``--weights 1 1.5`` → ``--weights 1 --weights 1.5``.

    Weights are numbers and ways are words, so score files may follow them; training scores reach to the next option.
    """
    given: list[str] = []
    option = ""
    for arg in args:
        if arg.startswith("-") and not _is_number(arg):
            option = arg if arg in _BELONGS else ""
        elif option and given[-1] != option:
            option = option if _BELONGS[option](arg) else ""
            given += [option] if option else []
        given.append(arg)
    return given


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_BELONGS: dict[str, Callable[[str], bool]] = {
    "--weights": _is_number,
    "--by": WAYS.__contains__,
    "--train-scores": lambda path: True,
}


def fuse(
    scores: Annotated[list[Path], typer.Argument(help="Score files, one per stream: OUT/scores.npz of evaluate.")],
    weights: Annotated[
        list[float] | None,
        typer.Option(
            "--weights", help="One per stream, as in --weights 1 1.5 (TSN: RGB, flow).", show_default="1 each"
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            help="scores: weighted sum before softmax (TSN); softmax: mean of softmax; svm: linear SVM on softmax "
            "scores (Two-Stream). Several may be named.",
            show_default="scores",
        ),
    ] = None,
    train_scores: Annotated[
        list[Path] | None,
        typer.Option("--train-scores", help="svm: score files of the training videos, one per stream, in their order."),
    ] = None,
    names: Annotated[
        str | None, typer.Option("--names", help="Names of the streams, comma-separated.", show_default="as saved")
    ] = None,
    common: Annotated[bool, typer.Option("--common", help="Fuse only the videos that all files have.")] = False,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Also test on groups that were trained on, and mark the result.")
    ] = False,
    svm_c: Annotated[float, typer.Option("--C", min=1e-9, help="C of the SVM (Crammer and Singer).")] = 1.0,
    seed: SeedOption = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for result.json, report and plots.", show_default="none")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fuse streams: each alone and fused in one table, with intervals, and paired intervals of the differences."""
    from tubelet.protocols.fusion import fuse as fused
    from tubelet.protocols.score_file import ScoreFile, aligned
    from tubelet.provenance import environment, sha256_file

    ways = tuple(one_of(way, WAYS, "--by") for way in by or ["scores"])
    if train_scores and "svm" not in ways:
        raise UsageError("--train-scores are for the SVM", remedy="add --by svm, or leave them away")
    paths = [str(path) for path in scores]
    files = [ScoreFile.load(path) for path in scores]
    _require_test(files, paths, allow_leak)
    training_paths = [str(path) for path in train_scores or []]
    training = [ScoreFile.load(path) for path in training_paths]
    if training:
        # The classes' order is that of the first stream everywhere.
        order = {name: index for index, name in enumerate(files[0].classes)}
        training[0] = _ordered(training[0], order)
        training = aligned(training, training_paths, common=common)
    asked = len(files[0])
    files = aligned(files, paths, common=common)
    notes = []
    if len(files[0]) < asked:
        notes.append(f"{asked - len(files[0])} of {asked} videos are not in all files and are not counted")
    record = environment(
        scores={path: sha256_file(path) for path in paths},
        **({"train_scores": {path: sha256_file(path) for path in training_paths}} if training_paths else {}),
    )
    fusion = fused(
        files,
        _names(names, files, paths),
        weights=weights,
        by=cast("tuple[By, ...]", ways),
        training=training,
        svm_c=svm_c,
        allow_leak=allow_leak,
        seed=seed,
        settings={"files": paths, "hashes": [file.hash for file in files], "train_files": training_paths},
        notes=notes,
    )
    report = None
    if out is not None:
        from tubelet.protocols.fusion_report import write_fusion  # which needs torch by way of other reports

        report = write_fusion(out, fusion, record)
    if as_json:
        print_json({**fusion.to_dict(), "provenance": record, "report": None if report is None else str(report)})
    else:
        typer.echo(fusion)
    if report is not None:
        say(f"report: {report}")


def _names(names: str | None, files: Sequence[ScoreFile], paths: Sequence[str]) -> list[str]:
    """What the streams are called: as asked for, else as saved, else their files' names."""
    if names is not None:
        return [name.strip() for name in names.split(",")]
    found = [file.stream or Path(path).stem for file, path in zip(files, paths, strict=True)]
    return found if len(set(found)) == len(found) else list(paths)


def _ordered(file: ScoreFile, order: dict[str, int]) -> ScoreFile:
    if set(file.classes) != set(order):
        return file  # which the fusion will refuse
    columns = sorted(range(len(order)), key=lambda index: order[file.classes[index]])
    return file.take(range(len(file)), columns)


def _require_test(files: Sequence[ScoreFile], paths: Sequence[str], allow_leak: bool) -> None:
    for file, path in zip(files, paths, strict=True):
        # Of "all" the seen groups were refused, or noted, when they were scored.
        if file.settings.get("part", "test") == "train" and not allow_leak:
            raise UsageError(
                "these are scores of videos that the network was trained on",
                path=path,
                why="figures on videos that were seen in training say nothing",
                remedy="give them with --train-scores, or mark the result with --allow-leak",
            )
