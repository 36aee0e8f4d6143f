"""Describe a video exactly as the videos of a table were described, so that they can be compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tubelet.cli.sources import recipe_with_mean, recorded_model
from tubelet.errors import InputDataError

if TYPE_CHECKING:
    from tubelet.descriptors.extractor import Extractor
    from tubelet.descriptors.store import DescriptorTable


def extractor_like(
    table: DescriptorTable,
    layers: Sequence[str],
    model: str | None,
    *,
    mean: Path | None = None,
    flow: Path | None = None,
    any_flow: bool = False,
    device: str = "auto",
) -> Extractor:
    """An extractor with the table's weights, recipe, sampling and precision.

    Parameters
    ----------
    table
        What the videos shall be compared with.
    layers
        Layers to extract.
    model
        As for ``--model``; None takes the one that extract found.
    mean, flow, any_flow, device
        As on the command line.

    Raises
    ------
    UsageError
        The table does not say where its model lies, and none is given.
    InputDataError
        The table was made by other weights, or with another recipe.
    """
    from tubelet.descriptors.extractor import Extractor
    from tubelet.descriptors.runner import model_source_of

    net = recorded_model({"model_source": model_source_of(table.folder)}, table.folder, model)
    made_by = table.only("weights_sha256")
    if made_by != net.weights_id:
        raise InputDataError(
            "the table was made by other weights",
            path=table.folder,
            why=f"{(made_by or 'several')[:19]} there, {net.weights_id[:19]} given",
            remedy="give the model that made it with --model, or extract again with this one",
        )
    options: dict[str, Any] = {"recipe": recipe_with_mean(net, mean), "precision": table.only("precision") or "auto"}
    options |= {"flow": flow, "any_flow": any_flow, **sampling_options(table.only("sampling"))}
    extractor = Extractor(net, tuple(layers), device=device, **options)
    if table.only("recipe_hash") != extractor.recipe.hash:
        extractor.close()
        raise InputDataError(
            "the table was made with another recipe",
            path=table.folder,
            remedy="give --mean as extract was given it, or extract again",
        )
    return extractor


def sampling_options(sampling: str | None) -> dict[str, Any]:
    """The extractor's options that cut videos into clips as this sampling, a table's JSON, says."""
    from tubelet.clips.sampling import Sampling

    return {} if sampling is None else {"sampling": Sampling.from_dict(json.loads(sampling))}
