"""``tubelet evaluate descriptors``: the papers' linear SVM on descriptor tables, one or several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.diagnose import (
    DiagnoseMeanOption,
    DiagnoseOption,
    DiagnoseOptions,
    DiagnoseVideosOption,
    ExpectedOption,
)
from tubelet.cli.options import (
    AnnotationsOption,
    DataOption,
    DryRunOption,
    FpsOption,
    JsonOption,
    LimitOption,
    OverwriteOption,
    SeedOption,
    SvmCOption,
    print_json,
    say,
)
from tubelet.cli.splits import WITH_SPLITS, parse_numbers
from tubelet.errors import ExitCode, InputDataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tubelet.datasets.manifest import Manifest
    from tubelet.datasets.splits import Fold
    from tubelet.descriptors.video_vectors import VideoVectors
    from tubelet.protocols.diagnosis import Diagnosis
    from tubelet.protocols.result import Result


def descriptors(
    data: DataOption,
    tables: Annotated[
        list[str],
        typer.Option(
            "--table",
            help="Folder of tubelet extract, or npz, parquet or csv with video_id; NAME=PATH names it (idt=idt.npz). "
            "Give it again for each further table: their vectors stand side by side.",
        ),
    ],
    kind: Annotated[str, typer.Option("--kind", help="Kind of dataset: ucf101, hmdb51, weizmann, folder.")] = "auto",
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", help="For all tables, or one each, in their order.", show_default="fc6, else pool5"),
    ] = None,
    splits: Annotated[
        str | None, typer.Option("--splits", help="Official splits (UCF101, HMDB51).", show_default="1,2,3")
    ] = None,
    annotations: AnnotationsOption = None,
    test_groups: Annotated[
        str | None, typer.Option("--test-groups", help="Groups to test on, such as g21-g25.")
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option("--test-fraction", help="Share of the videos to test on.", show_default="0.2")
    ] = None,
    leave_one_group_out: Annotated[
        bool, typer.Option("--leave-one-group-out", help="One fold per group (always so for weizmann).")
    ] = False,
    label_column: Annotated[str, typer.Option("--label-column", help="Column of metadata.csv.")] = "label",
    svm_c: SvmCOption = 1.0,
    zscore: Annotated[
        bool, typer.Option("--zscore", help="Mean 0, variance 1 for every number, as the training videos say.")
    ] = False,
    pca: Annotated[
        int | None, typer.Option("--pca", min=1, help="Only so many principal components, of the training videos.")
    ] = None,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Test on groups that a table's network saw, and mark the result.")
    ] = False,
    seed: SeedOption = 0,
    diagnose: DiagnoseOption = False,
    expected: ExpectedOption = None,
    diagnose_videos: DiagnoseVideosOption = None,
    diagnose_mean: DiagnoseMeanOption = None,
    fps: FpsOption = None,
    limit: LimitOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/evaluate/<data>_descriptors")
    ] = None,
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a linear SVM on the training videos' descriptors and test it, on official splits or on held-out groups.

    Every vector is scaled to length one, tables stand side by side, and what is fitted sees training videos only.
    Videos without a descriptor in every table are left out and listed in failed.jsonl (exit code 3). Finished folds are
    kept: the same command goes on where it was stopped.
    """
    from tubelet.failures import FAILED_FILE, list_failures
    from tubelet.protocols.descriptor_report import write_descriptors
    from tubelet.protocols.descriptor_svm import SvmSettings, evaluate_descriptors
    from tubelet.protocols.diagnosis_descriptors import DescriptorTest
    from tubelet.protocols.diagnosis_report import diagnosis_text
    from tubelet.protocols.diagnosis_splits import other_folds
    from tubelet.protocols.split_mean import write_means
    from tubelet.training.run_folder import RunFolder

    diagnosing = DiagnoseOptions(diagnose, expected, diagnose_videos, diagnose_mean)
    opened = _opened(tables, layers or [])
    parts = _parts(
        data, kind, splits, annotations, test_groups, test_fraction, leave_one_group_out, label_column, fps, limit
    )
    if diagnose:
        _refuse_several(parts, opened)
        diagnosing.refuse_unknown(parts[0][1][0].test)
    settings = SvmSettings(svm_c, zscore, pca, seed)
    first = parts[0][1][0].test
    root = out or Path("runs/evaluate") / f"{first.name.partition('-split')[0]}_descriptors"
    length = sum(table.vectors.shape[1] for table in opened)
    say(
        "\n".join(
            f"{one.name}: {len(one.video_ids)} videos, {one.layer or 'vectors'} of {one.vectors.shape[1]} numbers"
            for one in opened
        )
        + f"\n{first.name.partition('-split')[0]}: {len(first.classes)} classes, "
        + ", ".join(f"{title}: {_count(folds)}" for title, folds in parts)
        + f"\nlinear SVM on {length} numbers, C = {svm_c:g} -> {root}"
    )
    if dry_run:
        if as_json:
            print_json({"folder": str(root), "numbers": length, "parts": [title for title, _ in parts]})
        return
    record = {
        "tables": [{"path": str(table.path), "layer": table.layer, "sha256": table.hash} for table in opened],
        "parts": {title: [[fold.train.hash, fold.test.hash] for fold in folds] for title, folds in parts},
        "allow_leak": allow_leak,
        **settings.to_dict(),
    }
    run = RunFolder(root, record, overwrite=overwrite)
    results: list[Result] = []
    diagnosis: Diagnosis | None = None
    missing = {}
    with run.logging():
        for title, folds in parts:
            folder = root / title if len(parts) > 1 else root
            found = evaluate_descriptors(folds, opened, settings, folder, allow_leak=allow_leak)
            report = write_descriptors(folder, title, found, opened, settings)
            if diagnose:
                official = _other_splits(title, lambda numbers: _parts(
                    data, kind, numbers, annotations, None, None, False, label_column, fps, limit
                ))  # fmt: skip
                done = DescriptorTest(opened[0], folds, settings, found.result, other_folds(folds, official))
                diagnosis = diagnosing.descriptors(done, folder)
                report = write_descriptors(folder, title, found, opened, settings, diagnosis)
            elif len(opened) == 1:
                diagnosing.hint(found.result)
            results.append(found.result)
            missing.update({video.video_id: video for video in found.failed})
            if len(parts) > 1:
                say(f"{title}: {found.result.headline()}")
    list_failures(root / FAILED_FILE, [missing[video_id] for video_id in sorted(missing)])
    if len(parts) > 1:
        numbers = [int(title.removeprefix("split")) for title, _ in parts]
        name = f"{first.name.partition('-split')[0]}: mean of splits {', '.join(map(str, numbers))}"
        (mean,), report = write_means(root, name, [{n: [one] for n, one in zip(numbers, results, strict=True)}])
    if as_json:
        shown = {title: result.to_dict() for (title, _), result in zip(parts, results, strict=True)}
        whole = {"mean": mean.to_dict()} if len(parts) > 1 else {}
        named = {} if diagnosis is None else {"diagnosis": diagnosis.to_dict()}
        print_json({"parts": shown, **whole, **named, "missing": sorted(missing), "report": str(report)})
    elif len(parts) > 1:
        each = ", ".join(f"split {split} {value:.1%}" for split, value in mean.settings["splits"].items())
        typer.echo(f"{mean}\n  each: {each}\nreport: {report}")
    else:
        said = "" if diagnosis is None else f"{diagnosis_text(diagnosis)}\n"
        typer.echo(f"{results[0]}\n{said}report: {report}")
    if missing:
        say(f"{len(missing)} videos have no descriptor in every table, see {root / FAILED_FILE}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _opened(tables: Sequence[str], layers: Sequence[str]) -> list[VideoVectors]:
    from tubelet.descriptors.video_vectors import open_vectors

    if len(layers) not in (0, 1, len(tables)):
        raise UsageError(
            f"{len(layers)} layers are named for {len(tables)} tables", remedy="give one --layer, or one per table"
        )
    found = []
    for index, given in enumerate(tables):
        name, sign, path = given.partition("=")
        named = bool(sign) and not Path(given).exists()
        layer = layers[index % len(layers)] if layers else None
        found.append(open_vectors(path if named else given, layer, name if named else None))
    return found


def _parts(
    data: Path,
    kind: str,
    splits: str | None,
    annotations: Path | None,
    test_groups: str | None,
    test_fraction: float | None,
    one_group_out: bool,
    label_column: str,
    fps: float | None,
    limit: int | None,
) -> list[tuple[str, list[Fold]]]:
    """Each part of the evaluation with its folds: official splits have one fold each, leaving groups out has many."""
    from tubelet.cli.labeled import hold_out, open_labeled
    from tubelet.datasets.catalog import detect_kind
    from tubelet.datasets.content import copies
    from tubelet.datasets.groups import join_copies
    from tubelet.datasets.splits import leave_one_group_out as each_group

    chosen = detect_kind(data) if kind == "auto" else kind
    held_out = test_groups is not None or test_fraction is not None

    def opened(split: int | None) -> Manifest:
        return open_labeled(
            chosen, data, split=split, fps=fps, label_column=label_column, annotations=annotations, limit=limit
        )

    if splits is not None and chosen not in WITH_SPLITS:
        raise UsageError(f"--splits are official splits, and {chosen} has none", remedy="leave --splits away")
    if one_group_out and (held_out or splits is not None):
        raise UsageError(
            "every group is tested on in turn, so none can be chosen",
            remedy="leave --splits, --test-groups and --test-fraction away",
        )
    if one_group_out or (chosen == "weizmann" and not held_out):
        # Copies of one file count as filmed together, or a fold would test on what it trained on.
        manifest = opened(1)
        return [("groups", list(each_group(join_copies(manifest, copies(manifest.files())))))]
    if chosen in WITH_SPLITS and not held_out:
        numbers = parse_numbers(splits or "1,2,3", "--splits")
        return [(f"split{number}", [_fold(f"split{number}", *hold_out(opened(number), chosen, None, None, 0))])
                for number in numbers]  # fmt: skip
    training, test = hold_out(opened(1), chosen, test_groups, test_fraction, 0)
    return [("held-out", [_fold("held-out", training, test)])]


def _refuse_several(parts: Sequence[tuple[str, list[Fold]]], tables: Sequence[VideoVectors]) -> None:
    if len(parts) > 1:
        raise UsageError(f"--diagnose takes one split, not {len(parts)}", remedy="choose one, such as --splits 1")
    if len(tables) > 1:
        raise UsageError(f"--diagnose takes one table, not {len(tables)}", remedy="diagnose each by itself")


def _other_splits(
    title: str, parts: Callable[[str], list[tuple[str, list[Fold]]]]
) -> list[tuple[str, list[Fold]]]:  # fmt: skip
    """The other official splits than the one called ``title``; none where it is not one."""
    found = []
    for number in (each for each in "123" if title.startswith("split") and title != f"split{each}"):
        try:
            found += [(f"split {number}", folds) for _, folds in parts(number)]
        except InputDataError as error:
            say(f"diagnosis: split {number} is not tried: {error}")
    return found


def _fold(name: str, training: Manifest, test: Manifest | None) -> Fold:
    from tubelet.datasets.splits import Fold

    if test is None:
        raise UsageError(f"{training.name} has no test videos", remedy="name test groups with --test-groups")
    return Fold(name, training, test)


def _count(folds: Sequence[Fold]) -> str:
    if len(folds) > 1:
        return f"{len(folds)} folds"
    return f"{len(folds[0].train)} videos to train on, {len(folds[0].test)} to test"
