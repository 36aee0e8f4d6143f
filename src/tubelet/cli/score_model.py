"""``tubelet evaluate KIND --model DIR``: a trained model tested over the views of its paper."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from tubelet.cli.options import one_of, print_json, say
from tubelet.cli.sources import model_folder
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tubelet.cli.diagnose import DiagnoseOptions
    from tubelet.datasets.manifest import Manifest
    from tubelet.descriptors.network import PrecisionName
    from tubelet.protocols.score_stream import Part

PARTS = ("test", "train", "all")


def names_a_model(model: str | None) -> bool:
    """Whether ``--model`` is a folder, and not the name of a network: ``./c3d`` is one, ``c3d`` is not.

    Raises
    ------
    UsageError
        It is ``untrained:NAME``.
    """
    if model is None:
        return False
    from tubelet.models.registry import list_models

    if model.startswith("untrained:"):
        raise UsageError(
            f"{model} cannot be tested: its classes were never learned",
            remedy=f"give a model folder, or {model.partition(':')[2]} to train it; untrained: is for descriptors",
        )
    return model not in list_models() and (Path(model).is_dir() or "/" in model)


def score_model(
    manifest: Manifest,
    parts: tuple[Manifest, Manifest | None] | None,
    model: Path,
    out: Path,
    *,
    part: str,
    views: str | None,
    keep_views: bool,
    allow_leak: bool,
    flow: Path | None,
    any_flow: bool,
    seed: int,
    precision: str,
    device: str,
    workers: int,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    diagnosing: DiagnoseOptions,
    other_splits: Callable[[], list[tuple[str, Manifest]]] = list,
) -> None:
    """Score one part of a dataset, write ``scores.npz``, ``result.json`` and a report, and print the figures.

    Parameters
    ----------
    manifest, parts
        The dataset, and its training and test part (None where all of it is asked for).
    part
        Which of them: ``test``, ``train`` or ``all``. Only ``train`` may hold groups that the model was trained on.
    diagnosing, other_splits
        Whether and how to diagnose the figure, and what gives the test parts of other official splits for it.
    """
    from tubelet.models.folder import load_model
    from tubelet.protocols.comparable import figures_are_hits
    from tubelet.protocols.diagnosis_network import NetworkTest
    from tubelet.protocols.diagnosis_report import diagnosis_text
    from tubelet.protocols.diagnosis_splits import other_videos
    from tubelet.protocols.leak import refuse_seen_groups, unknown_training
    from tubelet.protocols.score_stream import check_stream, score_stream
    from tubelet.protocols.stream_report import stream_hits, stream_result, write_stream
    from tubelet.protocols.view_scores import ViewScorer
    from tubelet.protocols.views import default_average, default_views, views_by_name
    from tubelet.training.run_folder import RunFolder

    one_of(part, PARTS, "--part")
    folder = model_folder(model)
    network = load_model(folder)
    chosen = default_views(network) if views is None else views_by_name(views, seed)
    videos: Manifest | None = manifest
    if parts is not None:
        videos = parts[0] if part == "train" else parts[1]
    if videos is None or not len(videos):
        raise UsageError(
            f"{manifest.name} has no {'training' if part == 'train' else 'test'} videos",
            remedy="name test groups with --test-groups, or test on all of it with --part all",
        )
    notes = []
    if part != "train":
        notes = [
            *refuse_seen_groups(folder, videos, allow=allow_leak, workers=workers),
            *unknown_training(folder),
        ]
    if part == "train":
        notes = ["these are training videos: the scores are for fitting a fusion, the figures say nothing about others"]
    diagnosing.refuse_unknown(videos)
    check_stream(network, videos, flow)
    keep = keep_views or figures_are_hits(videos.name)
    if keep and not keep_views and (gone := len(manifest.findings.missing)):
        notes.append(f"videos that the lists of {manifest.name} name and that are not there: {gone:,}")
    scorer = ViewScorer(network, chosen, device=device, precision=cast("PrecisionName", precision))
    say(
        f"{manifest.name}: {len(videos)} videos ({part}), {len(videos.classes)} classes\n"
        f"{network.name} from {folder}, {chosen} -> {out}"
    )
    if dry_run:
        if as_json:
            print_json({"folder": str(out), "videos": len(videos), "views": chosen.to_dict()})
        return
    settings = {
        "model": network.name,
        "weights_sha256": network.weights_id,
        "recipe_hash": None if network.recipe is None else network.recipe.hash,
        "dataset": videos.hash,
        "part": part,
        "views": chosen.to_dict(),
        "precision": precision,
        "keep_views": keep,
        "allow_leak": allow_leak,
        **({} if flow is None else {"flow": str(flow), "any_flow": any_flow}),
    }
    run = RunFolder(out, settings, overwrite=overwrite)
    with run.logging():
        scored = score_stream(
            scorer,
            videos,
            out,
            part=cast("Part", part),
            notes=notes,
            keep_views=keep,
            workers=workers,
            flow=flow,
            any_flow=any_flow,
        )
    average = default_average(network)
    result = stream_result(scored.file, chosen, average)
    hits = stream_hits(scored.file, chosen, average) if keep else ()
    report = write_stream(out, scored.file, result, chosen, hits)
    with run.logging():
        others = other_videos(videos, parts, part, network.provenance, other_splits()) if diagnosing.wanted else []
        done = NetworkTest(network, chosen, average, videos, scored.file, result, others, flow, any_flow, device,
                           precision, workers)  # fmt: skip
        diagnosis = diagnosing.network(done, out)
    if diagnosis is not None:
        report = write_stream(out, scored.file, result, chosen, hits, diagnosis)
    if as_json:
        found = {**result.to_dict(), "hits": [hit.to_dict() for hit in hits]}
        named = {} if diagnosis is None else {"diagnosis": diagnosis.to_dict()}
        print_json({"scores": str(scored.path), "report": str(report), **found, **named})
    else:
        said = [] if diagnosis is None else [diagnosis_text(diagnosis)]
        typer.echo("\n".join([str(result), *map(str, hits), *said, f"scores: {scored.path}", f"report: {report}"]))
    if scored.failures:
        say(f"{len(scored.failures)} videos could not be scored, see {out / 'failed.jsonl'}")
        raise typer.Exit(ExitCode.SOME_FAILED)
