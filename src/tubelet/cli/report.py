"""``tubelet report RUN...``: the figures of runs as a page like a paper's results section, and as rows for papers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from tubelet.cli.options import JsonOption, one_of, print_json, say
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tubelet.protocols.results_table import ResultsTable, Sort

_SORTS = ("given", "accuracy", "name", "parameters", "macs")


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders of tubelet evaluate and tubelet train, or folders that hold some.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder of the page and its plots.", show_default="runs/report/<name of the first run>"
        ),
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Of the page.", show_default="from the data sets")] = "",
    sort: Annotated[
        str, typer.Option("--sort", help="Rows as given, or by accuracy, name, parameters or macs.")
    ] = "given",
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            help="Folder of the videos, for film strips; may be repeated.",
            show_default="what the runs' commands read",
        ),
    ] = None,
    markdown: Annotated[
        str | None,
        typer.Option("--markdown", help="Write the tables as Markdown (GitHub's) to this file; - prints."),
    ] = None,
    latex: Annotated[
        str | None, typer.Option("--latex", help="Write them as LaTeX (booktabs) to this file; - prints.")
    ] = None,
    as_csv: Annotated[
        str | None, typer.Option("--csv", help="Write all rows as comma-separated values to this file; - prints.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put runs together: a table for each data set, paired comparisons, mistakes, methods and provenance on one page.

    With --markdown, --latex or --csv and without -o only these are written. Runs that are not finished or cannot be
    read are told and left out (exit code 3).
    """
    order = cast("Sort", one_of(sort, _SORTS, "--sort"))
    printed = [name for name, target in (("--markdown", markdown), ("--latex", latex), ("--csv", as_csv))
               if target == "-"] + ["--json"] * as_json  # fmt: skip
    if len(printed) > 1:
        raise UsageError(f"{' and '.join(printed)} cannot both be printed", remedy="give a file to all but one of them")
    from tubelet.errors import InputDataError
    from tubelet.protocols.results_records import csv_text, records
    from tubelet.protocols.results_table import results_tables
    from tubelet.protocols.runs import read_runs

    left_out: list[InputDataError] = []
    found = read_runs(runs, left_out.append)
    for error in left_out:
        say(f"left out: {error}")
    tables = results_tables(found, order)
    folder = out
    if folder is None and markdown is None and latex is None and as_csv is None:
        folder = Path("runs/report") / found[0].name
    page = None
    if folder is not None:
        from tubelet.protocols.results_page import PageFacts, write_results
        from tubelet.provenance import environment

        facts = PageFacts(title, tuple(data or ()), tuple(str(error) for error in left_out))
        made_from = {run.name: str(run.folder) for run in found}
        page = write_results(folder, found, tables, facts, environment(runs=made_from))
    _write(markdown, "\n".join(table.markdown() for table in tables))
    _write(latex, "\n".join(table.latex() for table in tables))
    _write(as_csv, csv_text(tables))
    if as_json:
        left = [{"path": error.path, "error": str(error)} for error in left_out]
        print_json({"rows": records(tables), "left_out": left, "report": None if page is None else str(page)})
    elif not printed:
        _print(tables, page)
    if left_out:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _write(target: str | None, text: str) -> None:
    if target is None:
        return
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    from tubelet.artifacts import write_text

    say(f"written: {write_text(target, text)}")


def _print(tables: Sequence[ResultsTable], page: Path | None) -> None:
    for table in tables:
        typer.echo(table)
    if page is not None:
        typer.echo(f"report: {page}")
