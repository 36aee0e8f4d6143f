"""``tubelet models``: the networks, or everything about one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tubelet.cli.options import JsonOption, print_json

if TYPE_CHECKING:
    from tubelet.models.info import ModelInfo

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
        str,
        typer.Argument(
            help="A model, a pattern such as '*3d*', a model folder or hf:ORG/NAME; or weights: the public files it "
            "can read."
        ),
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
    if name.startswith("hf:") or "/" in name or Path(name, "config.json").is_file():
        _tell([_of_folder(name)], markdown, as_json, one=True)
        return
    names = list_models(name)
    if not names:
        if any(sign in name for sign in "*?["):
            raise UsageError(f"no model matches {name!r}", remedy=f"the models are {', '.join(list_models())}")
        model_info(name)  # raises the error that knows what was meant
    found = [model_info(each, classes) for each in names]
    _tell(found, markdown, as_json, one=len(found) == 1 and not any(sign in name for sign in "*?["))


def _of_folder(name: str) -> ModelInfo:
    from tubelet.cli.sources import model_folder
    from tubelet.models.folder import network_of
    from tubelet.models.registry import info_of

    return info_of(network_of(model_folder(Path(name))))


def _tell(found: list[ModelInfo], markdown: bool, as_json: bool, *, one: bool) -> None:
    if as_json:
        print_json([_plain(info) for info in found])
    elif markdown:
        typer.echo(markdown_page(found), nl=False)
    elif one:
        typer.echo(found[0])
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
            info.takes,
            info.cited + (" *" if info.source.reconstruction else ""),
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
            info.takes,
            info.sees,
            printed or "-",
            f"[{info.cited}]({info.paper.url}), {info.paper.section}"
            + (" (reconstruction)" if info.source.reconstruction else ""),
        )
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, "", *_PAIR]) + "\n"
