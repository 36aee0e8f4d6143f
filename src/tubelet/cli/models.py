"""``tubelet models``: the networks, or everything about one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tubelet.cli.options import JsonOption, print_json

if TYPE_CHECKING:
    from tubelet.models.registry import ModelInfo


def models(
    name: Annotated[str, typer.Argument(help="A model, or a pattern such as '*3d*'.")] = "*",
    classes: Annotated[int, typer.Option("--classes", min=1, help="Outputs of the classifier.")] = 101,
    as_json: JsonOption = False,
) -> None:
    """List the networks with parameters, multiply-adds and input; one name shows its layers."""
    from tubelet.errors import UsageError
    from tubelet.models.registry import list_models, model_info

    names = list_models(name)
    if not names:
        if any(sign in name for sign in "*?["):
            raise UsageError(f"no model matches {name!r}", remedy=f"the models are {', '.join(list_models())}")
        model_info(name)  # raises the error that knows what was meant
    found = [model_info(each, classes) for each in names]
    if as_json:
        print_json([_plain(info) for info in found])
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
    ):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("paper")
    for info in found:
        table.add_row(
            info.name,
            f"{info.parameters:,}",
            f"{info.macs / 1e9:.3f}",
            _input(info),
            _cited(info),
        )
    Console().print(table)
    Console(stderr=True).print(f"\n{found[0].num_classes} classes, one clip. No weights ship: see the README.")


def _print_one(info: ModelInfo) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{info.name}[/]  {_input(info)}  {info.num_classes} classes")
    paper = info.paper
    console.print(f"{paper.authors} ({paper.year}). {paper.title}, {paper.section}. {paper.url}", highlight=False)
    options = ", ".join(f"{key}={value!r}" for key, value in info.options.items())
    console.print(f"options: {options}\nrecipe:  {info.input.recipe}\n", highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("layer", "output", "parameters", "MACs"):
        table.add_column(heading, justify="left" if heading in ("layer", "output") else "right", no_wrap=True)
    for layer in info.layers:
        shape = "×".join(map(str, layer.output_shape[1:]))
        table.add_row(layer.name, shape, f"{layer.parameters:,}", f"{layer.macs:,}")
    rest = info.parameters - sum(layer.parameters for layer in info.layers)
    if rest:
        table.add_row("batch normalization", "", f"{rest:,}", "")
    table.add_row("total", "", f"{info.parameters:,}", f"{info.macs:,}", style="bold")
    console.print(table)
    console.print(f"\n--layers takes any of: {', '.join(info.layer_names)}", highlight=False)


def _input(info: ModelInfo) -> str:
    clip = info.input
    height, width = clip.height_width
    return f"{clip.channels}×{clip.clip_length}×{height}×{width} {clip.modality}"


def _cited(info: ModelInfo) -> str:
    """The paper as it is cited in running text: Tran et al. 2015."""
    first, *others = info.paper.authors.split(", ")
    return f"{first.split()[-1]}{' et al.' if others else ''} {info.paper.year}"
