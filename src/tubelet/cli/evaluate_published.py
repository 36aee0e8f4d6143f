"""``tubelet evaluate published``: the figures that papers print, table by table, each with how sure it is."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.options import JsonOption, print_json
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tubelet.protocols.published import PublishedFigure

_HEADINGS = ("row", "data set", "split", "input", "metric", "figure", "how sure", "note")


def published(
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Such as ucf101, hmdb51, sports1m, aslan, kinetics400; or 'h*'.")
    ] = None,
    network: Annotated[str | None, typer.Option("--network", help="Such as c3d, 'p3d*', idt.")] = None,
    protocol: Annotated[str | None, typer.Option("--protocol", help="network, svm or fusion.")] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="Such as accuracy, 'clip*', mAP, speed.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Such as 1, 'mean of 1-3', validation.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="Such as c3d_3, 'two_stream*', 'tsn*'.")] = None,
    tag: Annotated[
        str | None, typer.Option("--tag", help="paper, author's thread, computed or memory (not looked up).")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print published figures: row, data set, metric, figure, and whether someone has seen it in print.

    A figure marked memory has not been looked up by anybody; nothing is compared with it.
    """
    from tubelet.protocols.published import all_figures
    from tubelet.protocols.published import published as find

    found = find(dataset=dataset, network=network, protocol=protocol, metric=metric, split=split, table=table, tag=tag)
    if not found:
        names = sorted({each.dataset for each in all_figures()})
        raise UsageError(
            "no published figure fits",
            remedy=f"the data sets are {', '.join(names)}; without options the command lists all figures",
        )
    if as_json:
        print_json([each.to_dict() for each in found])
        return
    blocks = [_block(list(rows), markdown) for _, rows in groupby(found, key=lambda each: (each.table, each.source))]
    typer.echo("\n\n".join(blocks))


def _block(rows: Sequence[PublishedFigure], markdown: bool) -> str:
    first = rows[0]
    cells = [[*_cells(each)] for each in rows]
    shown = [index for index in range(len(_HEADINGS)) if any(row[index] for row in cells)]
    headings = [_HEADINGS[index] for index in shown]
    lines = [[row[index] for index in shown] for row in cells]
    if markdown:
        text = [f"**{first.source}** (`{first.table}`)", "", _row(headings), _row(["---"] * len(headings))]
        return "\n".join([*text, *map(_row, lines)])
    widths = [max(len(line[index]) for line in [headings, *lines]) for index in range(len(headings))]
    return "\n".join(
        [f"{first.source}  [{first.table}]"]
        + [
            "  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in [headings, *lines]
        ]
    )


def _cells(figure: PublishedFigure) -> Iterator[str]:
    sure = "MEMORY, not looked up" if not figure.confirmed else figure.tag
    yield from (figure.method, figure.dataset, figure.split, figure.modality.replace("_", " "), figure.metric)
    yield from (figure.figure, sure, figure.note)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
