"""``tubelet evaluate aslan``: are two videos of actions never seen the same action?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.describe import StrideOption
from tubelet.cli.options import (
    AnyFlowOption,
    DeviceOption,
    DryRunOption,
    FlowOption,
    FpsOption,
    JsonOption,
    MeanOption,
    OverwriteOption,
    SvmCOption,
    WorkersOption,
    choose_device,
    print_json,
    say,
)
from tubelet.cli.sources import model_folder, open_model, recipe_with_mean, source_of
from tubelet.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tubelet.datasets.manifest import Manifest

DESCRIPTORS = "descriptors"


def aslan(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the videos, called 0001 to 3697.", show_default="none")
    ] = None,
    annotations: Annotated[
        Path | None,
        typer.Option("--annotations", help="Folder of View2.mat (or .txt).", show_default="inside or beside --data"),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Describe with this: model folder, run, or untrained:NAME.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--table", help="Or take descriptors from this table of tubelet extract.")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", help="Layers to compare.", show_default="prob,fc7,fc6,pool5, as far as there are"),
    ] = None,
    view: Annotated[int, typer.Option("--view", min=1, max=2, help="2: ten folds, to report; 1: to develop.")] = 2,
    stride_frames: StrideOption = None,
    svm_c: SvmCOption = 1.0,
    search_c: Annotated[
        bool, typer.Option("--search-C", help="Choose C in each fold by leaving out training folds.")
    ] = False,
    parts: Annotated[
        bool, typer.Option("--parts/--no-parts", help="Also judge by single layers and similarities.")
    ] = True,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Test on samples that the model saw, and mark the result.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder.", show_default="runs/evaluate/aslan")
    ] = None,
    mean: MeanOption = None,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    fps: FpsOption = None,
    workers: WorkersOption = 2,
    device: DeviceOption = "auto",
    overwrite: OverwriteOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Describe all samples once, compare the two of each pair by twelve similarities per layer, and test a linear SVM.

    Stopped, the same command goes on. It keeps the descriptors (for --table) and the classifier (for tubelet compare).
    """
    from tubelet.datasets.aslan import action_names, find_annotations, samples_manifest
    from tubelet.datasets.aslan_pairs import read_view
    from tubelet.datasets.discovery import require_folder
    from tubelet.descriptors.store import DescriptorTable
    from tubelet.models.spec import usual_stride
    from tubelet.protocols.aslan import evaluate_pairs
    from tubelet.protocols.aslan_report import write_similarity
    from tubelet.protocols.aslan_run import (
        curve_files,
        final_svm,
        leak_notes_of_table,
        pairs_of_table,
        paper_layers,
        samples_of_table,
        settings_of,
        trained_on_what,
    )
    from tubelet.protocols.leak import refuse_seen_groups, trained_on, unknown_training
    from tubelet.protocols.pair_svm import PAIRS_SVM
    from tubelet.protocols.roc import read_curve
    from tubelet.provenance import environment
    from tubelet.training.run_folder import RunFolder

    if (model is None) == (table is None):
        raise UsageError(
            "evaluate aslan needs either a model or a table of descriptors",
            remedy="give --model DIR, or --table DIR that tubelet extract or an earlier run made",
        )
    if data is None and (table is None or annotations is None):
        raise UsageError("evaluate aslan needs the videos", remedy="give --data DIR, or both --table and --annotations")
    if search_c and view == 1:
        raise UsageError(
            "--search-C leaves out folds of the training pairs, and View 1 has only one",
            remedy="try values with --C on View 1, or search in View 2",
        )
    lists = require_folder(annotations) if data is None else find_annotations(data, annotations)  # type: ignore[arg-type]
    pairs = read_view(lists, view).require_disjoint()
    names = action_names(lists)
    manifest = None if data is None else samples_manifest(require_folder(data), [pairs], names, fps=fps)
    notes: list[str] = []
    net = None if model is None else open_model(model)
    if net is not None and manifest is not None and not str(model).startswith("untrained:"):
        source = model_folder(Path(str(model)))
        notes += [
            *refuse_seen_groups(source, manifest, allow=allow_leak, workers=workers),
            *unknown_training(source),
        ]
    existing = None if table is None else DescriptorTable(table)
    if existing is not None:
        notes += leak_notes_of_table(existing, manifest or samples_of_table(existing), allow=allow_leak)
    has = existing.layers if existing is not None else net.layer_names if net is not None else ()
    named = None if layers is None else tuple(map(str.strip, layers.split(",")))
    chosen = named or paper_layers(has, table=existing is not None)
    folder = out or Path("runs/evaluate/aslan")
    samples = len(pairs.sample_ids)
    there = "" if manifest is None else f", {len(manifest)} of them there"
    say(
        f"ASLAN View {view}: {len(pairs)} pairs in {len(pairs.folds)} folds, {samples} samples{there}\n"
        f"{table if net is None else net.name}, layers {', '.join(chosen)} -> {folder}"
    )
    if dry_run:
        if as_json:
            print_json({"folder": str(folder), "pairs": len(pairs), "samples": samples, "layers": list(chosen)})
        return
    settings = {
        "protocol": "aslan",
        "view": view,
        "pairs": len(pairs),
        "layers": list(chosen),
        "C": svm_c,
        "search_c": search_c,
        "allow_leak": allow_leak,
        **({"table": str(table)} if net is None else {"model": net.name, "weights_sha256": net.weights_id}),
        **({} if net is None else {"stride_frames": stride_frames or usual_stride(net.input)}),
        **({} if manifest is None else {"dataset": manifest.hash}),
        **({} if flow is None else {"flow": str(flow), "any_flow": any_flow}),
    }
    RunFolder(folder, settings, overwrite=overwrite)
    failed = 0
    if net is not None and manifest is not None:
        from tubelet.descriptors.extractor import Extractor
        from tubelet.descriptors.runner import extract

        with Extractor(
            net,
            chosen,
            stride_frames=stride_frames,
            recipe=recipe_with_mean(net, mean),
            device=choose_device(device),
            workers=workers,
            flow=flow,
            any_flow=any_flow,
        ) as extractor:
            summary = extract(manifest, extractor, folder / DESCRIPTORS, model_source=source_of(str(model)))
            notes += extractor.flow_notes
        say(str(summary))
        failed = summary.failed
        existing = DescriptorTable(folder / DESCRIPTORS)
    assert existing is not None
    compared = pairs_of_table(existing, pairs, chosen)
    notes = [*compared.notes, *notes]
    outcome = evaluate_pairs(
        compared.features,
        compared.view,
        chosen,
        svm_c=svm_c,
        search_c=search_c,
        parts=parts,
        network=compared.made_by["model"],
        weights=trained_on_what(existing),
        settings=settings_of(compared),
        provenance=environment(table=str(existing.folder), view=str(pairs.path), dataset={"name": "aslan"}),
        notes=notes,
    )
    classifier = final_svm(outcome, compared, svm_c, search_c=search_c)
    classifier.trained_on = trained_on(manifest or samples_of_table(existing))
    classifier.save(folder / PAIRS_SVM)
    report = write_similarity(
        folder,
        outcome,
        compared.view,
        names=names,
        videos=_videos(manifest),
        curves={name: read_curve(path) for name, path in curve_files(lists).items()},
        fps=fps,
    )
    fitted = f"classifier: {folder / PAIRS_SVM} (C = {classifier.svm_.C:g})"
    kept = [fitted, *([] if net is None else [f"descriptors: {existing.folder}"])]
    if as_json:
        print_json({**outcome.to_dict(), "report": str(report), "pairs_svm": str(folder / PAIRS_SVM)})
    else:
        typer.echo("\n".join([str(outcome), *kept, f"report: {report}"]))
    if failed:
        say(f"{failed} samples could not be read, see {folder / DESCRIPTORS / 'failed.jsonl'}")
        raise typer.Exit(ExitCode.SOME_FAILED)


def _videos(manifest: Manifest | None) -> dict[int, Path]:
    """Where the samples lie."""
    from tubelet.datasets.aslan import sample_id

    files: Sequence[tuple[str, Path]] = [] if manifest is None else list(manifest.files().items())
    return {number: path for name, path in files if (number := sample_id(name)) is not None}
