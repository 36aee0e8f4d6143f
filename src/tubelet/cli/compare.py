"""``tubelet compare``: two videos, the same action or not, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tubelet.cli.like_table import extractor_like, sampling_options
from tubelet.cli.options import (
    AnyFlowOption,
    DeviceOption,
    FlowOption,
    FpsOption,
    JsonOption,
    MeanOption,
    choose_device,
    print_json,
    say,
)
from tubelet.cli.sources import open_model, recipe_with_mean
from tubelet.errors import InputDataError, TubeletError, UsageError

if TYPE_CHECKING:
    from tubelet.protocols.comparison import Comparison


def compare(
    first: Annotated[Path, typer.Argument(help="A video.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="Model folder, run, or untrained:NAME.", show_default="the one of --table"),
    ] = None,
    pairs_svm: Annotated[
        Path | None,
        typer.Option("--pairs-svm", help="Classifier of pairs that decides: a run of tubelet evaluate aslan."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", help="Descriptors of other videos (tubelet extract), whose pairs are the yardstick."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", help="Layers to compare.", show_default="prob,fc7,fc6,pool5, as far as there are"),
    ] = None,
    reasons: Annotated[int, typer.Option("--reasons", min=0, help="How many numbers to print.")] = 6,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for a report with film strips.", show_default="none")
    ] = None,
    mean: MeanOption = None,
    flow: FlowOption = None,
    any_flow: AnyFlowOption = False,
    fps: FpsOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Compare two videos by ASLAN's twelve similarities per layer, and say what is most telling.

    With --pairs-svm a classifier decides and gives a probability. With --table you learn how many pairs of other videos
    are less alike; where those have labels, how many of one class and of two. With neither, the numbers stand alone.
    """
    import os

    from tubelet.descriptors.extractor import Extractor
    from tubelet.descriptors.store import DescriptorTable
    from tubelet.protocols.aslan_run import paper_layers
    from tubelet.protocols.comparison import compare as compared
    from tubelet.protocols.leak import seen_files
    from tubelet.protocols.pair_svm import PairSVM
    from tubelet.protocols.reference_pairs import reference_pairs

    for path in (first, second):
        if not path.exists():
            raise InputDataError("there is no such video", path=path, remedy="check the spelling of the path")
    if model is None and table is None:
        raise UsageError(
            "compare needs a model", remedy="give --model DIR, or --table DIR, which knows the model that made it"
        )
    svm = None if pairs_svm is None else PairSVM.load(pairs_svm)
    if svm is not None and layers is not None:
        raise UsageError("--pairs-svm brings its own layers", remedy=f"leave --layers away: {', '.join(svm.layers)}")
    wanted = None if layers is None else tuple(map(str.strip, layers.split(",")))
    where = choose_device(device)
    source = None if table is None else DescriptorTable(table)
    if source is not None:
        chosen = svm.layers if svm is not None else wanted or paper_layers(source.layers, table=True)
        lacking = [layer for layer in chosen if layer not in source.layers]
        if lacking:
            raise UsageError(
                f"the table has no {', '.join(lacking)}",
                path=table,
                remedy=f"it has {', '.join(source.layers)}; name those with --layers, or extract the others",
            )
        extractor = extractor_like(
            source, _with_prob(chosen), model, mean=mean, flow=flow, any_flow=any_flow, device=where
        )
    else:
        net = open_model(str(model))
        chosen = svm.layers if svm is not None else wanted or paper_layers(net.layer_names)
        cut = {} if svm is None else sampling_options(svm.sampling)
        recipe = recipe_with_mean(net, mean)
        extractor = Extractor(net, _with_prob(chosen), recipe=recipe, device=where, flow=flow, any_flow=any_flow, **cut)
    with extractor:
        if svm is not None:  # again, now that it is known what it will be used with
            recipe_hash = extractor.recipe.hash
            svm = PairSVM.load(str(pairs_svm), weights_id=extractor.weights_id, recipe_hash=recipe_hash)
            if svm.sampling not in (None, extractor.sampling_text):
                raise InputDataError(
                    "the classifier of pairs was made with another sampling than the table",
                    path=pairs_svm,
                    why=f"{svm.sampling} and {extractor.sampling_text}",
                    remedy="leave --table away, or extract it with the same clips",
                )
        described = []
        for _, outcome in extractor.describe_many((first, second), fps=fps):
            if isinstance(outcome, TubeletError):
                raise outcome
            described.append(outcome)
        one, other = described
        notes = list(extractor.flow_notes)
        network = extractor.model
    for what, memory in (
        ("the network was trained on", network.provenance),
        ("the classifier of pairs was fitted on", None if svm is None else {"trained_on": svm.trained_on}),
    ):
        known = seen_files(memory, [Path(os.path.abspath(path)) for path in (first, second)])
        notes += [f"{what} {path}, so this says nothing about new videos"
                  for path, seen in zip((first, second), known, strict=True) if seen]  # fmt: skip
    notes += [f"frames of {video.path} were lost" for video in (one, other) if video.report.status != "ok"]
    own = [Path(os.path.abspath(path)).as_posix() for path in (first, second)]
    result = compared(
        one,
        other,
        chosen,
        svm=svm,
        reference=None if source is None else reference_pairs(source, chosen, without=own),
        labels=network.labels,
        trained=not network.weights_id.startswith("untrained:"),
        notes=notes,
    )
    report = None
    if out is not None:
        from tubelet.protocols.comparison_report import write_comparison

        report = write_comparison(out, result, (one, other))
    if as_json:
        print_json({**result.to_dict(), "report": None if report is None else str(report)})
    else:
        typer.echo("\n".join(_lines(result, reasons)))
    if report is not None:
        say(f"report: {report}")


def _with_prob(layers: tuple[str, ...]) -> tuple[str, ...]:
    return layers if "prob" in layers else (*layers, "prob")


def _lines(result: Comparison, reasons: int) -> list[str]:
    """The verdict, the classes, then the most telling numbers."""
    lines = [result.verdict()]
    for path, best in zip((result.first, result.second), result.classes, strict=False):
        lines.append(f"  {path}: " + ", ".join(f"{name} {share:.0%}" for name, share in best))
    if (decision := result.decision) is not None:
        sums = ", ".join(f"{layer} {added:+.2f}" for layer, added in decision.layers.items())
        lines.append(f"  margin {decision.margin:+.2f} = {decision.start:+.2f} (mean pair), {sums}")
    for one in result.ranked()[:reasons]:
        more = [one.direction]
        if one.contribution is not None:
            more.append(f"adds {one.contribution:+.2f}")
        if one.closer_than is not None:
            more.append(f"closer than {one.closer_than:.0%}" + (" of two classes" if one.telling is not None else ""))
        if one.closer_than_same is not None:
            more.append(f"than {one.closer_than_same:.0%} of one class")
        if one.telling is not None:
            more.append(f"AUC alone {100 * one.telling:.0f}")
        lines.append(f"  {one.layer:<6} {one.measure:<17} {one.value:10.4g}  {', '.join(more)}".rstrip())
    return [*lines, *(f"  note: {note}" for note in result.notes)]
