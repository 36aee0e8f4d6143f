"""``tubelet convert-weights``: a weights file of another code base becomes a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tubelet.cli.options import JsonOption, print_json, say


def convert_weights(
    file: Annotated[Path, typer.Argument(help="A .caffemodel, a .pth/.pt/.pkl of torch, or a .safetensors.")],
    model: Annotated[
        str | None, typer.Option("--model", help="Network to fill.", show_default="the one that the file fits")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the model.", show_default="runs/weights/<file>")
    ] = None,
    classes: Annotated[
        int | None, typer.Option("--classes", min=1, help="Outputs of the classifier.", show_default="the file's")
    ] = None,
    labels: Annotated[Path | None, typer.Option("--labels", help="Text file of class names, one a line.")] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            "--map", help="Layout of the file's names; tubelet models weights lists all.", show_default="recognized"
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Preprocessing.", show_default="the one of the weights' training")
    ] = None,
    mean: Annotated[
        Path | None, typer.Option("--mean", help="Mean volume (npy or binaryproto) of recipe c3d_sports1m.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn trained weights of Caffe or PyTorch into a model folder, with an account of every tensor.

    Nothing in the file is run. All of its tensors have to be accounted for, or nothing is written.
    """
    from tubelet.models.folder import read_config, read_provenance
    from tubelet.weights.catalog import named_like
    from tubelet.weights.convert import convert

    folder = out or Path("runs/weights") / (file.name.split(".")[0] or "weights")
    report = convert(
        file,
        model,
        classes,
        out=folder,
        map=layout,
        recipe=recipe,
        mean=mean,
        labels=None if labels is None else _lines(labels),
    )
    origin: dict[str, Any] = (read_provenance(folder) or {})["converted_from"]
    if as_json:
        config = read_config(folder)
        print_json(
            {
                "folder": str(folder),
                "model": config.name,
                "classes": config.num_classes,
                "options": config.options,
                **{key: origin[key] for key in ("layout", "recipe", "license")},
                "report": report.to_dict(),
            }
        )
    else:
        typer.echo(report)
    say(f"{origin['what']}\nlicense: {origin['license']}")
    if origin["recipe"] != origin["recipe_of_training"]:
        say(f"preprocessing: {origin['recipe']}, which only approximates {origin['recipe_of_training']}")
    known = named_like(file)
    if labels is None and known is not None and known.labels is not None:
        say(f"the classes have no names: get {known.labels.url} and add --labels {known.labels.file}")
    say(f"next: tubelet extract VIDEOS --model {folder}")


def _lines(path: Path) -> list[str]:
    from tubelet.errors import InputDataError

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputDataError(
            "the class names cannot be read", path=path, why=str(error), remedy="give a text file with one name a line"
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]
