"""``tubelet evaluate ucf101|hmdb51 --splits 1,2,3``: the same command on each official split, and the mean."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import typer

from tubelet.cli.options import print_json, say
from tubelet.errors import ExitCode, UsageError

WITH_SPLITS = ("ucf101", "hmdb51")


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """``"0,2,5-7"`` → (0, 2, 5, 6, 7)."""
    numbers: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise UsageError(f"{option} cannot be {text!r}", remedy="give numbers such as 0, 0,1,2 or 0-2")
        numbers += range(int(low), int(high or low) + 1)
    if not numbers or len(set(numbers)) < len(numbers):
        raise UsageError(
            f"{option} cannot be {text!r}", why="a number is missing or given twice", remedy="give 0,1,2 or 0-2"
        )
    return tuple(numbers)


def over_splits(kind: str, wanted: str, run: Callable[..., None], given: Mapping[str, Any]) -> None:
    """Run ``evaluate`` on each split into ``OUT/split<N>``, then print and write the mean.

    Parameters
    ----------
    kind
        The protocol, one of `WITH_SPLITS`.
    wanted
        ``--splits`` as given.
    run, given
        ``evaluate`` without its context, and its parameters. In ``model``, ``{split}`` stands for the number: a model
        that was trained on one split has seen what the others test on.

    Raises
    ------
    UsageError
        The data set has no official splits.
    """
    if kind not in WITH_SPLITS:
        raise UsageError(f"--splits are official splits, and {kind} has none", remedy="leave --splits away")
    splits = parse_numbers(wanted, "--splits")
    root = given["out"] or Path("runs/evaluate") / f"{kind}_splits"
    if (root / "env.json").exists():
        raise UsageError(
            "the output folder holds a run of one split", path=root, remedy="choose another folder with -o"
        )
    some_failed = False
    for split in splits:
        model = None if given["model"] is None else str(given["model"]).replace("{split}", str(split))
        once = {**given, "splits": None, "split": split, "out": root / f"split{split}", "model": model}
        say(f"split {split}:")
        try:
            with redirect_stdout(sys.stderr):  # one split's figures are remarks here, the mean is the result
                run(**{**once, "as_json": False})
        except typer.Exit as ended:
            if ended.exit_code != ExitCode.SOME_FAILED:
                raise
            some_failed = True
    if given["dry_run"]:
        if given["as_json"]:
            print_json({"folder": str(root), "splits": list(splits)})
        return
    from tubelet.protocols.split_mean import read_results, write_means

    found = {split: read_results(root / f"split{split}") for split in splits}
    heads = len(next(iter(found.values())))
    by_head = [{split: found[split][head] for split in splits} for head in range(heads)]
    means, report = write_means(root, f"{kind}: mean of splits {', '.join(map(str, splits))}", by_head)
    if given["as_json"]:
        print_json({"means": [mean.to_dict() for mean in means], "report": str(report)})
    else:
        for mean in means:
            each = ", ".join(f"split {split} {value:.1%}" for split, value in mean.settings["splits"].items())
            typer.echo(f"{mean}\n  each: {each}")
        typer.echo(f"report: {report}")
    if some_failed:
        say(f"some videos could not be read, see failed.jsonl below {root}")
        raise typer.Exit(ExitCode.SOME_FAILED)
