"""From a foreign weights file to a model folder: recognize its layout, build the network, fill it, save it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tubelet.clips.recipe import Recipe
from tubelet.clips.recipes import get_recipe
from tubelet.errors import InputDataError, UsageError
from tubelet.models.registry import create_model, model_options
from tubelet.reporting.text import first_few, printable, times
from tubelet.weights.binaryproto import read_mean
from tubelet.weights.catalog import KnownFile, named_like, published
from tubelet.weights.foreign import ForeignFile, read_weights
from tubelet.weights.maps import NameMap, get_map, matching_maps
from tubelet.weights.nearest import nearest
from tubelet.weights.report import WeightsReport
from tubelet.weights.rules import apply_map
from tubelet.weights.signatures import kind_of

# What may stand in for a recipe, named on purpose: the same preprocessing without a file that may not be at hand.
_STAND_INS = {"c3d_sports1m": ("c3d_channel_mean",)}


def convert(
    path: str | os.PathLike[str],
    model: str | None = None,
    num_classes: int | None = None,
    *,
    out: str | os.PathLike[str],
    map: str | None = None,
    recipe: str | None = None,
    mean: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    sha256: str | None = None,
) -> WeightsReport:
    """Turn a weights file of another code base into a model folder.

    Parameters
    ----------
    path
        The file, see `tubelet.weights.read_weights`.
    model
        The network to fill; needed only where the file's layout fits several.
    num_classes
        Outputs of the classifier. Default: as in the file. Needed where the file has no classifier, which then
        starts untrained from seed 0.
    out
        Folder of the model.
    map
        The layout of names, one of `tubelet.weights.maps.list_maps`. Default: the one that the file has.
    recipe
        How clips are preprocessed. Weights know one: any other is refused, but c3d_channel_mean for c3d_sports1m.
    mean
        The mean volume of c3d_sports1m: ``.npy``, ``.npy.bz2`` or Caffe's ``.binaryproto``.
    labels
        Class names in the order of the outputs.
    options
        The network's options besides those that the layout demands.
    sha256
        The hash that the file must have, or what it begins with. Default: the one of the public file of this name, if
        the catalog has it.

    Returns
    -------
    WeightsReport
        What became of every tensor. The folder's provenance has the file's name, hash and format, the layout, and
        this report's summary.

    Raises
    ------
    InputDataError
        The file cannot be read, is not the public one of its name, has no known layout or several, or does not fit
        the network; nothing is written.
    UsageError
        A name, recipe, number of classes or option that does not go with the weights.
    """
    if model is not None:
        model_options(model)  # raises for an unknown one
    chosen = None if map is None else get_map(map)
    known = named_like(Path(path))
    if sha256 is None and known is not None:
        sha256 = known.sha256 or known.sha256_begins
    with read_weights(path, sha256=sha256) as foreign:
        known = published(foreign.sha256) or known
        if known is not None and chosen is None:
            _check_whole(foreign, known)
        layout = chosen or _recognized(foreign, model)
        if not layout.models:
            layout.classes(foreign)  # raises, with the reason why it fits no network
        name = _network(layout, model)
        pixels = _recipe(layout, recipe, mean)
        wanted = {**_published_options(known, foreign, layout), **(options or {})}
        net = create_model(name, _classes(layout, foreign, num_classes), seed=0, **_options(layout, name, wanted))
        pixels = pixels.with_side(net.input.side)
        report = apply_map(foreign, net, layout.build(net))
    net.eval().save(out, recipe=pixels, labels=labels, provenance=_provenance(report, layout, pixels))
    return report


def _recognized(foreign: ForeignFile, model: str | None) -> NameMap:
    found = matching_maps(foreign, model)
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.name for each in found)
    if found:
        raise InputDataError(
            "the weights may have several layouts",
            path=foreign.path,
            why=names,
            remedy=f"name the layout (map= in Python, --map on the command line) of {names}",
        )
    if others := [] if model is None else matching_maps(foreign):
        raise InputDataError(
            f"the weights are not those of {model}",
            path=foreign.path,
            why="their layout is " + " or ".join(f"{each.name} ({', '.join(each.models)})" for each in others),
            remedy="name a network that they fill (model= in Python, --model on the command line), or leave it away",
        )
    raise _unknown(foreign, model)


def _unknown(foreign: ForeignFile, model: str | None) -> InputDataError:
    """What to say of a file that no layout recognizes: which come nearest, and what keeps it from having them."""
    near = nearest(foreign, model)
    what = "the layout of the weights is not known"
    if not near:
        shown = ", ".join(list(foreign.tensors)[:3])
        why = "no layout" + (f" of {model}" if model else "") + f" has a tensor of theirs, the first being {shown}"
        remedy = "tubelet models weights lists the known files and layouts"
        return InputDataError(what, path=foreign.path, why=printable(why), remedy=remedy)
    return InputDataError(
        what,
        path=foreign.path,
        why=printable("nearest come: " + "; ".join(f"({i}) {each}" for i, each in enumerate(near, 1))),
        remedy=f"if it is one of these, name it (map= in Python, --map {near[0].layout.name} on the command line) for "
        "the full account; tubelet models weights lists all layouts",
    )


def _check_whole(foreign: ForeignFile, known: KnownFile) -> None:
    """That a public file fits a network, and that none of its tensors is lost."""
    if known.model is None and known.map is None:
        raise InputDataError(
            "these weights fit no network here", path=foreign.path, why=known.why, remedy=known.instead
        )
    lost = known.lacking(foreign.tensors)
    if lost:
        names = first_few([f"{each.name} ({times(each.shape)})" for each in lost], shown=3)
        raise InputDataError(
            f"the file has the name of {known.name} and is not whole",
            path=foreign.path,
            why=f"it lacks {len(lost)} of {len(known.expected())} tensors: {names}",
            remedy=f"get it again ({known.url or known.get}); of a file of your own, name the layout with --map",
        )


def _published_options(known: KnownFile | None, foreign: ForeignFile, layout: NameMap) -> dict[str, Any]:
    """What a network needs for a public file beyond what its layout shows; only where the file is that one for sure."""
    sure = known is not None and known.map == layout.name and known.sha256 == foreign.sha256
    return dict(known.options) if known is not None and sure else {}


def _network(layout: NameMap, model: str | None) -> str:
    if model is None and len(layout.models) == 1:
        return layout.models[0]
    if model not in layout.models:
        raise UsageError(
            f"weights of the layout {layout.name} fill {', '.join(layout.models)}"
            + (", so a network has to be named" if model is None else f", not {model}"),
            remedy="name one of these (model= in Python, --model on the command line)",
        )
    return model


def _recipe(layout: NameMap, name: str | None, mean: str | os.PathLike[str] | None) -> Recipe:
    name = layout.recipe if name is None else name
    fitting = (layout.recipe, *_STAND_INS.get(layout.recipe, ()))
    if name not in fitting:
        raise UsageError(
            f"weights of the layout {layout.name} saw the recipe {layout.recipe} in training, not {name}",
            remedy=f"leave the recipe away, or choose {' or '.join(fitting)}",
        )
    if mean is None or not _is_binaryproto(mean):
        return get_recipe(name, mean)
    with tempfile.TemporaryDirectory(prefix="tubelet-") as folder:
        rewritten = Path(folder) / "mean.npy"
        np.save(rewritten, read_mean(mean))
        return get_recipe(name, rewritten)


def _is_binaryproto(path: str | os.PathLike[str]) -> bool:
    path = Path(path)
    return path.suffix not in (".npy", ".bz2") and kind_of(path) == "binaryproto"


def _classes(layout: NameMap, foreign: ForeignFile, wanted: int | None) -> int:
    found = layout.classes(foreign)
    if found is None and wanted is None:
        raise UsageError(
            "the weights have no classifier, so the number of classes is not known",
            path=foreign.path,
            remedy="give it (num_classes= in Python, --classes on the command line); the classifier starts untrained",
        )
    if found is not None and wanted not in (None, found):
        raise UsageError(
            f"the weights have {found} classes, not {wanted}",
            path=foreign.path,
            remedy="leave the number away; training from the model folder replaces the classifier where classes differ",
        )
    return found if wanted is None else wanted  # type: ignore[return-value]  # one of them is a number


def _options(layout: NameMap, name: str, wanted: dict[str, Any]) -> dict[str, Any]:
    for option, value in layout.options.items():
        if wanted.get(option, value) != value:
            raise UsageError(
                f"weights of the layout {layout.name} need {name} with {option}={value!r}, not {wanted[option]!r}",
                remedy="leave the option away",
            )
    return {**layout.options, **wanted}


def _provenance(report: WeightsReport, layout: NameMap, recipe: Recipe) -> dict[str, Any]:
    return {
        "converted_from": {
            **report.summary(),
            "layout": layout.name,
            "what": layout.title,
            "license": layout.license,
            "recipe": recipe.name,
            "recipe_of_training": layout.recipe,
        }
    }
