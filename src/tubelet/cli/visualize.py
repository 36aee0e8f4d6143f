"""``tubelet visualize``: looking at descriptors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.options import AnnotationsOption, FpsOption, JsonOption, SeedOption, print_json, say
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from tubelet.datasets.manifest import Manifest

app = typer.Typer(
    name="visualize",
    help="Look at descriptors: a map of a table.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _verbs() -> None:
    """Look at descriptors: a map of a table."""


@app.command("map", short_help="A t-SNE map of a descriptor table, colored by label.")
def map_table(
    table: Annotated[
        Path, typer.Argument(help="Folder of tubelet extract, or npz, parquet or csv with video_id.", metavar="TABLE")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder.", show_default="runs/visualize/<table>_map")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Color by the labels of this data set.", show_default="labels in the table"),
    ] = None,
    kind: Annotated[str, typer.Option("--kind", help="Kind of --data: see tubelet data kinds.")] = "auto",
    label_column: Annotated[str, typer.Option("--label-column", help="Column of --data's metadata.csv.")] = "label",
    annotations: AnnotationsOption = None,
    fps: FpsOption = None,
    layer: Annotated[str | None, typer.Option("--layer", help="Layer to map.", show_default="fc6, else pool5")] = None,
    clips: Annotated[bool, typer.Option("--clips", help="A point for each clip, not for each video.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Draw N videos (or clips) at random.", show_default="all")
    ] = None,
    perplexity: Annotated[
        float, typer.Option("--perplexity", min=1, help="Effective number of neighbors of each point.")
    ] = 30.0,
    steps: Annotated[int, typer.Option("--steps", min=250, help="Optimization steps.")] = 1000,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Lay out a table's descriptors in the plane with t-SNE, so that what is alike lies together.

    Writes report.html (hover, search, filter), map.png, map.svg, map.csv and map.json. How often a point's nearest
    other has its label, in the map and in the whole descriptors, stands beside the picture. Needs the extra map.
    """
    from tubelet.cli.map_report import map_lines, map_notes, map_record, seen_note, write_map
    from tubelet.reporting.terminal import progress
    from tubelet.visualize.agreement import measure_agreement
    from tubelet.visualize.embedding import embed_principal, embed_tsne, needs_tsne
    from tubelet.visualize.points import read_points

    if data is None and kind != "auto":
        raise UsageError("--kind says how --data is read", remedy="give --data, too")
    points = read_points(table, layer, clips=clips, limit=limit, seed=seed)
    notes = []
    if data is None:
        notes += seen_note(points)
    else:
        manifest = _labeled(data, kind, label_column, annotations, fps)
        points = points.with_labels({item.path: item.label for item in manifest.items}, str(data))
        notes += seen_note(points, manifest)
    if needs_tsne(points.vectors):
        with progress("t-SNE", total=steps, unit="step") as bar:
            layout = embed_tsne(points.vectors, perplexity=perplexity, steps=steps, progress=bar.reach)
    else:
        layout = embed_principal(points.vectors)
    found = measure_agreement(
        layout.points, points.vectors, points.label, points.video_id if points.unit == "clip" else None, seed=seed
    )
    notes += map_notes(points, layout, found, perplexity)
    settings = {"perplexity": perplexity, "steps": steps, "limit": limit, "seed": seed}
    record = map_record(points, layout, found, settings, notes)
    report = write_map(out or Path("runs/visualize") / f"{points.name}_map", points, layout, found, record)
    if as_json:
        print_json({**record, "report": str(report)})
    else:
        typer.echo("\n".join(map_lines(points, layout, found, notes)))
    say(f"report: {report}")


def _labeled(data: Path, kind: str, label_column: str, annotations: Path | None, fps: float | None) -> Manifest:
    from tubelet.cli.labeled import open_labeled
    from tubelet.datasets.catalog import detect_kind

    return open_labeled(
        detect_kind(data) if kind == "auto" else kind,
        data,
        split=1,
        fps=fps,
        label_column=label_column,
        annotations=annotations,
        limit=None,
        labels=False,
    )
