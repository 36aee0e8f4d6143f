"""Which published figure a figure of ours is comparable with, and what the two do not have in common.

A line of a paper is comparable if data set, test split (an official one, with all of the data set's classes), the way
the prediction is made, and what the input is made of are the same, and the network is of the same family. Of several
the closest is shown, with every difference that is known. Where none is comparable, nothing is shown; figures from
memory never are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tubelet.protocols.published import TAGS, PublishedFigure, all_figures
from tubelet.protocols.result import Published, Result

if TYPE_CHECKING:
    from tubelet.datasets.manifest import Manifest
    from tubelet.protocols.rounds import RoundSettings
    from tubelet.protocols.score_file import ScoreFile

Head = Literal["network", "svm", "fusion"]

ALL_SPLITS = "mean of 1-3"
ONE_VIDEO_OUT = "leave one video out"
SCRATCH = "none"
COMPARED = "compared"
"""Key of a Result's settings under which `beside` leaves what it compared."""

_OFFICIAL = re.compile(r"(?P<dataset>ucf101|hmdb51)-split(?P<split>[123])")
_TEST_VIDEOS = {
    ("ucf101", "1"): 3783, ("ucf101", "2"): 3734, ("ucf101", "3"): 3696, ("ucf101", ALL_SPLITS): 11213,
    ("hmdb51", "1"): 1530, ("hmdb51", "2"): 1530, ("hmdb51", "3"): 1530, ("hmdb51", ALL_SPLITS): 4590,
    ("yupenn", ONE_VIDEO_OUT): 420, ("maryland", ONE_VIDEO_OUT): 130,
}  # fmt: skip
CLASSES = {"ucf101": 101, "hmdb51": 51, "sports1m": 487, "yupenn": 14, "maryland": 13, "egocentric": 42}
"""How many classes a test must show (or tell apart, where videos can only be had in part): with fewer it is another,
easier, question."""
_ACCURACY = ("accuracy", "mean class accuracy")
_OFFICIAL_FOLD = ["test"]
_BY_HITS = ("sports1m",)
_UNSAID = 0.5  # how much what a paper does not say counts beside a known difference


@dataclass(frozen=True)
class Done:
    """What a figure of ours was made with, in the words of `PublishedFigure`.

    Attributes
    ----------
    dataset, split, protocol, network, modality, options, weights, views, recipe, tables
        As there. ``weights`` empty: not known.
    videos
        Test videos counted.
    classes
        How many classes they show; None: all.
    fps
        The frame rate that was given in place of the videos' own; None where it was not.
    metrics
        What a line may have counted to stand beside it.
    """

    dataset: str
    split: str
    protocol: Head
    network: str
    modality: str = "rgb"
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    views: str = ""
    recipe: str = ""
    tables: int = 1
    videos: int | None = None
    classes: int | None = None
    fps: float | None = None
    metrics: tuple[str, ...] = _ACCURACY


def closest(done: Done) -> tuple[PublishedFigure, tuple[str, ...]] | None:
    """The closest comparable line and what differs, in sentences without a period; None where there is none."""
    found = [each for each in all_figures() if _fits(each, done)]
    if not found:
        return None

    def distance(each: PublishedFigure) -> tuple[float, int, float]:
        different = differences(each, done)
        kind = sum(name in _KIND for name, _ in different)
        silent = sum(not getattr(each, name) for name in ("split", "weights", "views", "recipe"))
        return kind, TAGS.index(each.tag), len(different) + _UNSAID * silent

    best = min(found, key=distance)  # of equally close ones the first, which is the paper's own table
    return best, tuple(text for _, text in differences(best, done))


def line_beside(done: Done | None) -> Published | None:
    """The closest published figure as a Result carries it, or None."""
    match = None if done is None else closest(done)
    if match is None:
        return None
    figure, different = match
    return Published(
        figure.value / 100,
        figure.source,
        figure.tag,
        method=figure.method,
        metric=figure.metric,
        differences=different,
    )


def beside(result: Result, done: Done | None) -> Result:
    """The result with the closest published figure, if there is one, and with what was compared among its settings."""
    if done is None:
        return result
    settings = {**result.settings, COMPARED: asdict(done)}
    return replace(result, published=line_beside(done), settings=settings)


def compared(result: Result) -> Done | None:
    """What `beside` compared; None where it compared nothing."""
    values = result.settings.get(COMPARED)
    return None if values is None else Done(**{**values, "metrics": tuple(values["metrics"])})


_FAMILY_ONLY = ("t3d",)  # named where the paper does not say which network of the family
_KIND = ("network", "options", "tables")
_EXTRAS = ("pca", "zscore", "bits")  # what nobody does without saying so


def _fits(line: PublishedFigure, done: Done) -> bool:
    return (
        line.confirmed
        and line.unit == "%"
        and line.metric in done.metrics
        and done.classes in (None, CLASSES.get(done.dataset))
        and (line.dataset, line.protocol) == (done.dataset, done.protocol)
        and set(line.modality.split(" + ")) == set(done.modality.split(" + "))
        and _families(line.network) == _families(done.network)
    )


def _families(network: str) -> list[str]:
    return sorted(name.partition("_")[0] for name in network.split(" + "))


def differences(line: PublishedFigure, done: Done) -> list[tuple[str, str]]:
    """What a line and a figure of ours do not have in common: name of the field, and the words for it."""
    found: list[tuple[str, str]] = []

    def note(name: str, ours: object, theirs: object, words: str) -> None:
        if ours and theirs and _plain(ours) != _plain(theirs):
            found.append((name, words.format(ours=ours, theirs=theirs)))

    if line.network not in _FAMILY_ONLY:
        note("network", done.network, line.network, "network {ours} here, {theirs} there")
    for key in sorted(line.options.keys() & done.options.keys()):
        if line.options[key] != done.options[key]:
            ours = "none" if done.options[key] is None else done.options[key]
            found.append(("options", f"{key} {ours} here, {line.options[key]} there"))
    extras = [key for key in _EXTRAS if done.options.get(key) and key not in line.options]
    found += [("options", f"{key} {done.options[key]} here, none there") for key in extras]
    note("tables", done.tables, line.tables, "{ours} descriptor(s) side by side here, {theirs} there")
    note("split", _split(done.split), _split(line.split), "{ours} here, {theirs} there")
    note("weights", done.weights, line.weights, "pre-training {ours} here, {theirs} there")
    note("views", done.views, line.views, "clips {ours} here, {theirs} there")
    note("recipe", done.recipe, line.recipe, "preprocessing {ours} here, {theirs} there")
    if done.fps is not None:
        found.append(("fps", f"{done.fps:g} frames a second here, the videos' own there"))
    expected = _TEST_VIDEOS.get((done.dataset, done.split))
    if done.videos is not None and expected is not None and done.videos != expected:
        found.append(("videos", f"{done.videos} test videos here, {expected} there"))
    if line.note:
        found.append(("note", f"there: {line.note}"))
    return found


def _plain(value: object) -> str:
    return re.sub(r"[^a-z0-9+]", "", str(value).lower())


def _split(split: str) -> str:
    if split == ALL_SPLITS:
        return "the mean of splits 1 to 3"
    if split.startswith("mean"):
        return split.replace("mean of", "the mean of splits")
    return f"split {split}" if split.isdecimal() else split


def official(name: str) -> tuple[str, str] | None:
    """Data set and split of a manifest's name such as ``ucf101-split1``; None for any other.

    Sports-1M has one test set, so that its split is empty.
    """
    if name.partition("-")[0] == "sports1m":
        return "sports1m", ""
    match = _OFFICIAL.fullmatch(name)
    return None if match is None else (match["dataset"], match["split"])


def figures_are_hits(name: str) -> bool:
    """Whether figures on a data set of this name are published as hit@k of clips and videos (Sports-1M's)."""
    return (official(name) or ("",))[0] in _BY_HITS


def _metrics(dataset: str) -> tuple[str, ...]:
    return ("video hit@1",) if dataset in _BY_HITS else _ACCURACY


def seen_by(provenance: Mapping[str, Any] | None) -> str:
    """What weights with this provenance were trained on, oldest first; empty where it does not say."""
    if provenance is None:
        return ""
    if "trained_on" in provenance:
        return ", ".join(_history(provenance["trained_on"]))
    return str(provenance.get("converted_from", {}).get("what", ""))


def seen_before(provenance: Mapping[str, Any] | None) -> str:
    """What they had seen before their last training; ``none`` where that began with nothing, empty where unknown."""
    last = (provenance or {}).get("trained_on")
    if last is None:
        return ""
    if "before" in last:
        return ", ".join(_history(last["before"]))
    return SCRATCH if not (provenance or {}).get("started_from") else ""


def _history(trained_on: Mapping[str, Any]) -> list[str]:
    before = trained_on.get("before")
    return [*([] if before is None else _history(before)), str(trained_on["dataset"])]


def done_in_round(settings: RoundSettings, test: Manifest, head: Head, videos: int, weights: str) -> Done | None:
    """A round's figure; None where the videos are no official split.

    Parameters
    ----------
    settings, test, head
        How it was made, on which videos, by which prediction.
    videos
        How many of them could be read.
    weights
        What the starting weights had seen, see `seen_by`; ``none`` where there were none.
    """
    from tubelet.models.registry import DEFAULT_CLASSES, build_meta

    where = official(test.name)
    if where is None:
        return None
    network = build_meta(settings.model, DEFAULT_CLASSES, settings.options)
    learned = settings.train.train_layers
    return Done(
        *where,
        head,
        settings.model,
        network.input.modality,
        {
            **network.options,
            "pca": None,
            "train_layers": "all" if not learned else ", ".join(learned),
        },
        weights,
        views="dense",
        recipe=settings.recipe.name,
        videos=videos,
        classes=len(test.classes) if where[0] in _BY_HITS else len({item.label for item in test.items}),
        fps=test.fps,
        metrics=_metrics(where[0]),
    )


def done_by_streams(files: Sequence[ScoreFile], by: str) -> Done | None:
    """The figure of one stream (``by`` is then how its views are averaged) or of a fusion of several."""
    dataset = files[0].provenance.get("dataset", {})
    where = official(str(dataset.get("name", "")))
    settings = [file.settings for file in files]
    if where is None or any(one.get("part") != "test" or one.get("head") for one in settings):
        return None  # an SVM's decision values are no stream of the papers'
    if any(list(one.get("folds", _OFFICIAL_FOLD)) != _OFFICIAL_FOLD for one in settings):
        return None  # folds of one's own on the videos of an official split

    def same(key: str) -> Any:
        values = [one.get(key) for one in settings]
        return values[0] if all(value == values[0] for value in values) else None

    options = [dict(one.get("options", {})) for one in settings]
    shared = {
        key: value for key, value in options[0].items() if all(other.get(key, value) == value for other in options)
    }
    views = same("views")
    recipe = same("recipe")
    return Done(
        *where,
        "network" if len(files) == 1 else "fusion",
        " + ".join(sorted({str(one.get("model")) for one in settings})),
        " + ".join(sorted({str(one.get("stream")).replace(" ", "_") for one in settings})),
        {**shared, **({"by": by} if len(files) > 1 else {})},
        str(same("seen_before") or ""),
        views="" if views is None else str(views.get("name", "")),
        recipe="" if recipe is None else str(recipe.get("name", "")),
        videos=len(files[0]),
        classes=len(files[0].classes) if where[0] in _BY_HITS else len(set(files[0].labels.tolist())),
        fps=dataset.get("fps"),
        metrics=_metrics(where[0]),
    )
