"""``tubelet data``: look at a folder of videos before anything is trained on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.options import FpsOption, JsonOption, LabelColumnOption, SeedOption, WorkersOption, print_json, say
from tubelet.errors import ExitCode

if TYPE_CHECKING:
    from tubelet.datasets.check import CheckReport

app = typer.Typer(
    name="data",
    help="Check folders of videos, or cut them into clips.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

KindOption = Annotated[str, typer.Option("--kind", help="How DIR is read: see tubelet data kinds.")]
ListsOption = Annotated[
    Path | None, typer.Option("--annotations", help="Folder of the official lists [inside or beside DIR].")
]
OutsideOption = Annotated[bool, typer.Option("--allow-outside", help="Follow paths and links that lead out of DIR.")]


@app.callback()
def _data() -> None:
    """Check folders of videos, or cut them into clips."""


@app.command("kinds")
def kinds(as_json: JsonOption = False) -> None:
    """List the kinds of data sets, and how results are published.

    docs/datasets.md has the formats and their sources.
    """
    from tubelet.datasets.catalog import DATASETS

    if as_json:
        print_json([{"kind": name, "about": kind.about, "protocol": kind.protocol} for name, kind in DATASETS.items()])
        return
    width = max(map(len, DATASETS))
    for name, kind in DATASETS.items():
        typer.echo(f"{name:<{width}}  {kind.about}\n{'':<{width}}  protocol: {kind.protocol}")


@app.command("cut")
def cut(
    folder: Annotated[Path, typer.Argument(help="Folder of videos.", metavar="DIR")],
    count: Annotated[int, typer.Option("--clips", min=1, help="Clips of each video (C3D and P3D: 5).")],
    length_s: Annotated[float, typer.Option("--seconds", min=0.01, help="Their length (C3D: 2, P3D: 5).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The table to write, such as DIR/metadata.csv.")],
    kind: KindOption = "auto",
    split: Annotated[str, typer.Option("--split", help="Which videos: train, val, test or all.")] = "train",
    annotations: ListsOption = None,
    fps: FpsOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = 2,
    allow_outside: OutsideOption = False,
    as_json: JsonOption = False,
) -> None:
    """Draw clips at random places, as rows of a table.

    The table has start_s and end_s, and stands for the folder wherever a KIND is asked for: metadata. Videos of other
    splits stay whole. Exit code 3 if videos are unreadable: they are left out, and listed beside the table.
    """
    from tubelet.cli.data_cut import cut_folder
    from tubelet.datasets.catalog import open_dataset
    from tubelet.datasets.weizmann import refuse_misplaced

    manifest = open_dataset(kind, folder, fps=fps, annotations=annotations, allow_outside=allow_outside)
    refuse_misplaced(manifest)
    which = None if split == "all" else split
    summary = cut_folder(manifest, out, count=count, length_s=length_s, seed=seed, split=which, workers=workers)
    if as_json:
        print_json(summary.to_dict())
    else:
        typer.echo(summary.line())
    if summary.failed:
        raise typer.Exit(ExitCode.SOME_FAILED)


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="Folder of videos (or its metadata.csv).", metavar="DIR")],
    kind: KindOption = "auto",
    split: Annotated[int, typer.Option("--split", min=1, help="Official split (UCF101, HMDB51).")] = 1,
    annotations: ListsOption = None,
    label_column: LabelColumnOption = "label",
    fps: FpsOption = None,
    short_frames: Annotated[int, typer.Option("--short-frames", min=1, help="Report videos with fewer frames.")] = 16,
    workers: WorkersOption = 2,
    allow_outside: OutsideOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write check.json, manifest.csv, failed.jsonl."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Decode every video and report counts, missing, unreadable, mislabeled, short, duplicate and leaking videos.

    Exit code 4 if something is in two splits at once (group, file or content) or in two folds of a view, else 3 if
    videos are unreadable, lost frames or are mislabeled, or segments begin or frame labels lie behind the end, else 0;
    notes such as short videos or copies within a split change nothing.
    """
    from tubelet.clips.decode import ClipDecoder
    from tubelet.datasets.catalog import detect_kind, open_dataset
    from tubelet.datasets.check import check_dataset
    from tubelet.reporting.terminal import progress

    found = detect_kind(folder) if kind == "auto" else kind
    manifest = open_dataset(
        found,
        folder,
        split=split,
        fps=fps,
        label_column=label_column,
        annotations=annotations,
        allow_outside=allow_outside,
    )
    files = len({item.path for item in manifest.items})
    with ClipDecoder(workers=workers) as decoder, progress("checking", total=files, unit="video") as bar:
        report = check_dataset(manifest, decoder, lambda done, total: bar.update(1), short_frames=short_frames)
    if out is not None:
        _write(report, out)
        say(f"written: {out / 'check.json'}")
    if as_json:
        print_json({"kind": found, **report.to_dict()})
    else:
        from tubelet.cli.data_report import print_check

        print_check(report, found)
    if report.exit_code != ExitCode.DONE:
        raise typer.Exit(report.exit_code)


def _write(report: CheckReport, out: Path) -> None:
    from tubelet.artifacts import write_json, write_text

    failed = [
        {
            "video_id": video.path,
            "path": str(report.manifest.root / video.path),
            "error": "; ".join(video.problems),
            "kind": video.status,
        }
        for video in (*report.unreadable, *report.partial)
    ]
    write_json(out / "check.json", report.to_dict())
    report.manifest.to_csv(out / "manifest.csv")
    write_text(out / "failed.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in failed))
