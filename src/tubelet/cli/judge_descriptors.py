"""What the protocols on descriptors share: from folds and tables to fits, figures, report and exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tubelet.cli.describe import DESCRIPTORS, Described
from tubelet.cli.options import print_json, say
from tubelet.errors import ExitCode, InputDataError, UsageError

if TYPE_CHECKING:
    from tubelet.cli.diagnose import DiagnoseOptions
    from tubelet.datasets.manifest import Manifest
    from tubelet.datasets.objects import FrameLabels
    from tubelet.datasets.splits import Fold
    from tubelet.descriptors.video_vectors import VectorTable
    from tubelet.failures import FailedVideo
    from tubelet.protocols.descriptor_svm import SvmSettings
    from tubelet.protocols.diagnosis import Diagnosis
    from tubelet.protocols.result import Result
    from tubelet.protocols.windows import Clips

ZscoreOption = Annotated[
    bool, typer.Option("--zscore", help="Mean 0, variance 1 for every number, as the training videos say.")
]
PcaOption = Annotated[
    int | None, typer.Option("--pca", min=1, help="Only so many principal components, of the training videos.")
]
AllowLeakOption = Annotated[
    bool, typer.Option("--allow-leak", help="Test on groups that a table's network saw, and mark the result.")
]


_TITLES = {"videos": "one video left out at a time", "groups": "one group left out at a time"}


@dataclass(frozen=True)
class Windows:
    """That windows of frame-labeled videos are judged: the labels, and in how many frames a window's has to be."""

    labels: FrameLabels
    least_frames: int


@dataclass(frozen=True)
class Diagnosing:
    """That the figure is diagnosed: how, and what opens other official splits of the data set, by number."""

    options: DiagnoseOptions
    other_parts: Callable[[str], Sequence[tuple[str, Sequence[Fold]]]]

    def refuse_unfit(self, parts: Sequence[tuple[str, Sequence[Fold]]], vectors: Described) -> None:
        """Refuse several splits or tables, trajectories, and data sets that nothing is printed of, before the work."""
        from tubelet.baselines.tables import is_trajectories

        tables = len(vectors.tables) + (vectors.model is not None)
        if len(parts) > 1:
            raise UsageError(f"--diagnose takes one split, not {len(parts)}", remedy="choose one, such as --splits 1")
        if tables > 1:
            raise UsageError(f"--diagnose takes one table, not {tables}", remedy="diagnose each by itself")
        if any(is_trajectories(path) for path, _, _ in vectors.given()):
            raise UsageError(
                "--diagnose lets a network describe videos again, and trajectories have none",
                path=vectors.given()[0][0],
                remedy="diagnose a table of tubelet extract --model DIR",
            )
        self.options.refuse_unknown(parts[0][1][0].test)

    def diagnose(
        self,
        title: str,
        folds: Sequence[Fold],
        table: VectorTable,
        settings: SvmSettings,
        result: Result,
        folder: Path,
    ) -> Diagnosis | None:
        """The diagnosis, kept in ``folder``; splits that are tried are the other official ones, where there are any."""
        from tubelet.descriptors.video_vectors import VideoVectors
        from tubelet.protocols.diagnosis_descriptors import DescriptorTest
        from tubelet.protocols.diagnosis_splits import other_folds

        assert isinstance(table, VideoVectors), "refuse_unfit has seen it"
        official = []
        for number in (each for each in "123" if title.startswith("split") and title != f"split{each}"):
            try:
                official += [(f"split {number}", part) for _, part in self.other_parts(number)]
            except InputDataError as error:
                say(f"diagnosis: split {number} is not tried: {error}")
        test = DescriptorTest(table, folds, settings, result, other_folds(folds, official))
        return self.options.descriptors(test, folder)


def judge(
    parts: Sequence[tuple[str, Sequence[Fold]]],
    vectors: Described,
    settings: SvmSettings,
    root: Path,
    *,
    windows: Windows | None = None,
    diagnosing: Diagnosing | None = None,
    allow_leak: bool,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Describe where asked, fit and test every part, print and write what came out.

    Parameters
    ----------
    parts
        Each part of the evaluation with its folds: official splits have one fold each, leaving out has many.
    vectors, settings
        Where the descriptors come from, and how the SVM is fitted.
    root
        Run folder.
    windows
        Given where windows of the videos are judged.
    diagnosing
        Given where a figure that is off can be explained.
    allow_leak, overwrite, dry_run, as_json
        As on the command line.
    """
    from tubelet.baselines.tables import require_learnable
    from tubelet.descriptors.video_vectors import NO_NETWORK
    from tubelet.failures import FAILED_FILE, list_failures
    from tubelet.protocols.descriptor_report import write_descriptors
    from tubelet.protocols.descriptor_svm import evaluate_descriptors
    from tubelet.protocols.diagnosis import DIAGNOSIS
    from tubelet.protocols.diagnosis_report import diagnosis_text
    from tubelet.protocols.split_mean import write_means
    from tubelet.protocols.table_notes import tested_videos
    from tubelet.reporting.text import counted
    from tubelet.training.run_folder import RunFolder

    if diagnosing is not None and diagnosing.options.wanted:
        diagnosing.refuse_unfit(parts, vectors)
    first = parts[0][1][0].test
    name = first.name.partition("-split")[0]
    every = [fold for _, folds in parts for fold in folds]
    opened = _Opened(windows)
    for table in vectors.given():
        opened.add(*table)
    with vectors.extractor() as extractor:
        length = opened.length + (0 if extractor is None else extractor.dimensions[extractor.layers[0]])
        ours = (
            [] if extractor is None else [f"{extractor.model.name} ({extractor.weights_id[:19]}) describes them first"]
        )
        say(
            "\n".join([*opened.lines(), *ours])
            + f"\n{name}: {len(first.classes)} classes, "
            + ", ".join(f"{title}: {count_of(folds)}" for title, folds in parts)
            + f"\nlinear SVM on {length:,} numbers, C = {settings.svm_c:g} -> {root}"
        )
        for note in first.findings.notes:
            say(f"note: {note}")
        require_learnable(opened.tables, every)
        if dry_run:
            if as_json:
                print_json({"folder": str(root), "numbers": length, "parts": [title for title, _ in parts]})
            return
        record = {
            "tables": [
                {"path": str(table.path), "layer": table.layer, "sha256": table.hash} for table in opened.tables
            ],
            "parts": {title: identity_of(folds) for title, folds in parts},
            "allow_leak": allow_leak,
            **vectors.record(extractor),
            **({} if windows is None else {"least_frames": windows.least_frames}),
            **settings.to_dict(),
        }
        run = RunFolder(root, record, overwrite=overwrite)
        if extractor is not None:
            with run.logging():
                made = vectors.describe(
                    extractor, _videos(every), tested_videos(every), root / DESCRIPTORS, allow_leak=allow_leak
                )
            opened.add(*made)
    results: list[Result] = []
    diagnosis: Diagnosis | None = None
    missing: dict[str, FailedVideo] = {}
    with run.logging():
        for title, folds in parts:
            folder = root / title if len(parts) > 1 else root
            judged, clips, lost = opened.judged(folds)
            found = evaluate_descriptors(judged, opened.tables, settings, folder, allow_leak=allow_leak, clips=clips)
            notes = (*found.result.notes, *first.findings.notes, *vectors.notes)
            found = replace(found, result=replace(found.result, notes=tuple(dict.fromkeys(notes))))
            found = replace(found, failed=(*lost, *found.failed))
            report = write_descriptors(folder, _TITLES.get(title, title), found, opened.tables, settings)
            if diagnosing is not None and diagnosing.options.wanted:
                diagnosis = diagnosing.diagnose(title, judged, opened.tables[0], settings, found.result, folder)
                report = write_descriptors(folder, _TITLES.get(title, title), found, opened.tables, settings, diagnosis)
            elif diagnosing is not None and len(opened.tables) == 1 and not opened.tables[0].facts.get(NO_NETWORK):
                diagnosing.options.hint(found.result)
            results.append(found.result)
            missing.update({video.video_id: video for video in found.failed})
            if len(parts) > 1:
                say(f"{title}: {found.result.headline()}")
    list_failures(root / FAILED_FILE, [missing[video_id] for video_id in sorted(missing)])
    whole: dict[str, Any] = {}
    text = str(results[0])
    if diagnosis is not None:
        whole, text = {DIAGNOSIS: diagnosis.to_dict()}, f"{text}\n{diagnosis_text(diagnosis)}"
    if len(parts) > 1:
        numbers = [int(title.removeprefix("split")) for title, _ in parts]
        heading = f"{name}: mean of splits {', '.join(map(str, numbers))}"
        (mean,), report = write_means(root, heading, [{n: [one] for n, one in zip(numbers, results, strict=True)}])
        each = ", ".join(f"split {split} {value:.1%}" for split, value in mean.settings["splits"].items())
        whole, text = {"mean": mean.to_dict()}, f"{mean}\n  each: {each}"
    if as_json:
        shown = {title: result.to_dict() for (title, _), result in zip(parts, results, strict=True)}
        print_json({"parts": shown, **whole, "missing": sorted(missing), "report": str(report)})
    else:
        typer.echo(f"{text}\nreport: {report}")
    if missing:
        what = counted(len(missing), "video") if windows is None else f"{len(missing)} videos or windows"
        say(f"{what} without a descriptor in every table, see {root / FAILED_FILE}")
        raise typer.Exit(ExitCode.SOME_FAILED)


class _Opened:
    """The tables side by side: a vector for each video, or for each window of it."""

    def __init__(self, windows: Windows | None) -> None:
        self._windows = windows
        self._clips: list[Any] = []
        self.tables: list[VectorTable] = []

    def add(self, path: str, layer: str | None, name: str | None) -> None:
        from tubelet.baselines.tables import is_trajectories, open_table
        from tubelet.protocols.windows import open_clips

        if self._windows is None:
            self.tables.append(open_table(path, layer, name))
            return
        if is_trajectories(path):
            raise UsageError(
                "windows of videos are judged here, and stored trajectories are encoded for whole videos",
                path=path,
                remedy="give a table of tubelet extract --model DIR",
            )
        self._clips.append(open_clips(Path(path), layer, name))
        self.tables.append(self._clips[-1].vectors)

    @property
    def length(self) -> int:
        """Numbers of all tables together."""
        return sum(table.length for table in self.tables)

    def lines(self) -> list[str]:
        """What there is, for people."""
        from tubelet.descriptors.video_vectors import ENCODING

        unit = "videos" if self._windows is None else "clips"
        return [
            f"{one.name}: {len(one.video_ids)} {unit}, {one.layer or 'vectors'} of {one.length:,} numbers"
            + (", learned from each fold's training videos" if ENCODING in one.facts else "")
            for one in self.tables
        ]

    def judged(self, folds: Sequence[Fold]) -> tuple[Sequence[Fold], Clips | None, tuple[FailedVideo, ...]]:
        """The folds as they are, or as folds of windows, which the first table cuts and the labels name."""
        from tubelet.protocols.windows import folds_of_windows

        if self._windows is None:
            return folds, None, ()
        return folds_of_windows(folds, self._windows.labels, self._clips[0], self._windows.least_frames)


def _videos(folds: Sequence[Fold]) -> Manifest:
    """Every item of all folds, once."""
    items = {item.span: item for fold in folds for part in (fold.train, fold.test) for item in part.items}
    return replace(folds[0].train, items=tuple(items[span] for span in sorted(items, key=str)))


def identity_of(folds: Sequence[Fold]) -> Any:
    """What says which videos are on which side: two hashes, or one of all where there are many folds."""
    from tubelet.provenance import hash_json

    pairs = [[fold.train.hash, fold.test.hash] for fold in folds]
    return pairs if len(pairs) == 1 else hash_json(pairs)


def count_of(folds: Sequence[Fold]) -> str:
    """How many folds, or how many videos on the two sides of one."""
    if len(folds) > 1:
        return f"{len(folds)} folds"
    return f"{len(folds[0].train)} videos to train on, {len(folds[0].test)} to test"
