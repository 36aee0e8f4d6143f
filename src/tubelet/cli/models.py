"""``tubelet models``: the networks, or everything about one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tubelet.cli.options import JsonOption, print_json
from tubelet.reporting.text import times

if TYPE_CHECKING:
    from tubelet.models.registry import ModelInfo

# A pair of networks takes two inputs and gives no classes, so it is no row among the others.
_PAIR = (
    "T3D's supervision transfer (Diba 2017, figure 2) is a pair of these networks and so no row of the table: a",
    "frozen image network, a student such as `t3d_121` (student_fc 896 → 1024: 918,528 parameters), and a head",
    "2048 → 512 → 128 → 2 (1,049,088 + 65,664 + 258) that tells whether frames and clip belong together. `tubelet",
    "train experiments/t3d_transfer.toml --teacher DIR` trains it. A reconstruction: the sources do not say, so",
    "there is ReLU behind fc1 and fc2, none behind teacher_fc and student_fc, no dropout, and the teacher's",
    "features come first.",
)


def models(
    name: Annotated[
        str, typer.Argument(help="A model, a pattern such as '*3d*', or weights: the public files it can read.")
    ] = "*",
    file: Annotated[
        str | None,
        typer.Argument(help="Behind weights: one of these files, a pattern or a family such as tsn, with all tensors."),
    ] = None,
    classes: Annotated[int, typer.Option("--classes", min=1, help="Outputs of the classifier.")] = 101,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/models.md.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the networks with parameters, multiply-adds and input; one name shows everything about it."""
    if name == "weights":
        from tubelet.cli.models_weights import list_weights

        list_weights(file, as_json)
        return
    from tubelet.errors import UsageError
    from tubelet.models.registry import list_models, model_info

    if file is not None:
        raise UsageError(f"{file!r} is one name too many", remedy="give one model, or weights and the name of a file")
    names = list_models(name)
    if not names:
        if any(sign in name for sign in "*?["):
            raise UsageError(f"no model matches {name!r}", remedy=f"the models are {', '.join(list_models())}")
        model_info(name)  # raises the error that knows what was meant
    found = [model_info(each, classes) for each in names]
    if as_json:
        print_json([_plain(info) for info in found])
    elif markdown:
        typer.echo(markdown_page(found), nl=False)
    elif len(found) == 1 and not any(sign in name for sign in "*?["):
        _print_one(found[0])
    else:
        _print_list(found)


def _plain(info: ModelInfo) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(info)


def _print_list(found: list[ModelInfo]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (
        ("model", "left"),
        ("parameters", "right"),
        ("GMACs", "right"),
        ("input", "left"),
        ("paper", "left"),
    ):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for info in found:
        table.add_row(
            info.name,
            f"{info.parameters:,}",
            f"{info.macs / 1e9:.3f}",
            _input(info),
            _cited(info) + (" *" if info.source.reconstruction else ""),
        )
    Console().print(table)
    note = (
        f"\n{found[0].num_classes} classes, one input (channels×frames×height×width). No weights ship: see the README."
    )
    if any(info.source.reconstruction for info in found):
        note += "\n* a reconstruction: tubelet models NAME says what was chosen."
    if any(info.name.startswith("t3d") for info in found):
        note += "\nT3D's supervision transfer is a pair of networks: tubelet train --teacher, see docs/models.md."
    Console(stderr=True).print(note, highlight=False)


def _print_one(info: ModelInfo) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{info.name}[/]  {_input(info)}  {info.num_classes} classes")
    paper = info.paper
    console.print(f"{paper.authors} ({paper.year}). {paper.title}, {paper.section}. {paper.url}", highlight=False)
    if info.source.reconstruction:
        console.print("[bold]reconstruction[/] from the sources below, with the choices below", highlight=False)
    if info.source.origin:
        console.print(f"source:  {info.source.origin}", highlight=False)
    for choice in info.source.choices:
        console.print(f"choice:  {choice}", highlight=False)
    options = ", ".join(f"{key}={value!r}" for key, value in info.options.items())
    console.print(f"options: {options}\nrecipe:  {info.input.recipe}\n", highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("layer", "output", "parameters", "MACs"):
        table.add_column(heading, justify="left" if heading in ("layer", "output") else "right", no_wrap=True)
    for layer in info.layers:
        shape = times(layer.output_shape[1:])
        table.add_row(layer.name, shape, f"{layer.parameters:,}", f"{layer.macs:,}")
    if info.norm_parameters:
        table.add_row("batch normalization", "", f"{info.norm_parameters:,}", "")
    used = {layer.name: layer.parameters for layer in info.layers}  # a layer that works twice has its weights once
    if rest := info.parameters - info.norm_parameters - sum(used.values()):
        table.add_row("not used for the logits", "", f"{rest:,}", "")
    table.add_row("total", "", f"{info.parameters:,}", f"{info.macs:,}", style="bold")
    console.print(table)
    console.print(
        f"\nactivations of one input in float32: {info.activation_bytes / 2**20:,.1f} MiB\n"
        f"one value of the last feature map sees {_field(info)} (frames × rows × columns)",
        highlight=False,
    )
    for quantity, figure in info.source.printed.items():
        console.print(f"the paper prints {quantity}: {figure}", highlight=False)
    console.print(f"\n--layers takes any of: {', '.join(info.layer_names)}", highlight=False)


def _input(info: ModelInfo) -> str:
    return f"{times(info.input.shape)} {info.input.modality}"


def _field(info: ModelInfo) -> str:
    return "-" if info.receptive_field is None else times(info.receptive_field)


def markdown_page(found: list[ModelInfo]) -> str:
    """The networks as a Markdown page, ours beside what each paper prints."""
    lines = [
        "# Networks",
        "",
        f"Written by `tubelet models --markdown`, at {found[0].num_classes} classes. All but the last two columns",
        "is computed from the network itself. Activations are what all layers give out for one input, in float32; *one",
        "value sees* is the receptive field of the last feature map in frames × rows × columns. *Reconstruction* marks",
        "networks built from sources that leave something open, or that give no exact count to prove them by: `tubelet",
        "models NAME` lists the sources and what was chosen.",
        "",
        "| model | parameters | GMACs | activations | input | one value sees | the paper prints | source |",
        "| --- | ---: | ---: | ---: | --- | --- | --- | --- |",
    ]
    for info in found:
        printed = "; ".join(f"{quantity} {figure}" for quantity, figure in info.source.printed.items())
        cells = (
            f"`{info.name}`",
            f"{info.parameters:,}",
            f"{info.macs / 1e9:.3f}",
            f"{info.activation_bytes / 2**20:,.1f} MiB",
            _input(info),
            _field(info),
            printed or "-",
            f"[{_cited(info)}]({info.paper.url}), {info.paper.section}"
            + (" (reconstruction)" if info.source.reconstruction else ""),
        )
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, "", *_PAIR]) + "\n"


def _cited(info: ModelInfo) -> str:
    """The paper by its first author and year: Tran 2015."""
    first = info.paper.authors.split(", ")[0]
    return f"{first.split()[-1]} {info.paper.year}"
