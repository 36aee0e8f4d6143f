"""The public weights files that are known, and the lists of their classes: ``catalog.toml`` and its companions.

What a file holds is not written down a second time: its tensors follow from its layout's rules, read backwards.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from tubelet.errors import UsageError
from tubelet.models.contract import VideoModel
from tubelet.models.options import suggestion
from tubelet.models.registry import DEFAULT_CLASSES, build_meta
from tubelet.weights.maps import NameMap, get_map
from tubelet.weights.maps.layout import NO_CLASSIFIER
from tubelet.weights.maps.name_map import UNSTATED
from tubelet.weights.rules import WeightMap
from tubelet.weights.spelling import spellings
from tubelet.weights.transforms import BN_FACTOR, COMPANIONED, stored_shape

_FILES = ("catalog.toml", "catalog_images.toml", "catalog_unfit.toml")
_LABELS = "catalog_labels.toml"
_MEMORY = "memory"
_NORM = "{weight,bias,running_mean,running_var}"


@dataclass(frozen=True)
class Published:
    """A figure and who says it; from memory means that nobody has looked it up."""

    figure: str
    source: str

    def __str__(self) -> str:
        said = "from memory, not looked up" if self.source == _MEMORY else self.source
        return f"{self.figure} ({said})"


@dataclass(frozen=True)
class LabelFile:
    """A public list of class names, one a line in the order of a classifier's outputs.

    Attributes
    ----------
    classes
        How many names it has.
    file, url
        What a browser calls it, and where it is.
    says
        Whose it is, and how it is known that the weights count so.
    """

    classes: int
    file: str
    url: str
    says: str


@dataclass(frozen=True)
class ExpectedTensor:
    """A tensor that a public file holds.

    Attributes
    ----------
    name, shape, dtype
        As in the file; a Caffe blob is ``layer[index]``, the dtype is spelled as safetensors does.
    target
        The network's tensor that it fills; empty where it only helps to fill one, or where nothing is filled.
    optional
        Whether the file may be without it: files of torch before 0.4.1 do not count batches.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "F32"
    target: str = ""
    optional: bool = False


@dataclass(frozen=True)
class KnownFile:
    """A public weights file. The head of ``catalog.toml`` says what each key is.

    Attributes
    ----------
    name
        Such as ``c3d.sports1m``: the family and the file.
    model
        The network that it fills; None where it fills none, and ``why`` and ``instead`` say more.
    labels
        The names of its classes, where a public list of them is known.
    """

    name: str
    get: str
    published: tuple[Published, ...]
    file: str | None = None
    url: str | None = None
    sha256: str | None = None
    sha256_from: str | None = None
    sha256_begins: str | None = None
    map: str | None = None
    model: str | None = None
    classes: int | None = None
    labels: LabelFile | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    spelling: str | None = None
    sides: Mapping[str, int] = field(default_factory=dict)
    tensors: Mapping[str, list[int]] = field(default_factory=dict)
    license: str = UNSTATED
    why: str | None = None
    instead: str | None = None
    split: int | None = None

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def layout(self) -> NameMap | None:
        return None if self.map is None else get_map(self.map)

    @property
    def recipe(self) -> str | None:
        """What its network saw; weights are converted with this recipe alone."""
        return None if self.layout is None else self.layout.recipe

    @property
    def command(self) -> str | None:
        """How it becomes a model folder, once it is there."""
        if self.model is None:
            return None
        words = ["tubelet", "convert-weights", self._downloaded or self.file or "FILE", "-o", self.name]
        words += [] if self.classes else ["--classes", str(DEFAULT_CLASSES)]
        words += ["--mean", "MEAN"] if self.recipe == "c3d_sports1m" else []
        words += ["--labels", self.labels.file] if self.labels else []
        return shlex.join(words)

    @property
    def network_options(self) -> dict[str, Any]:
        """What the network has to be built with."""
        return {**(self.layout.options if self.layout else {}), **self.options}

    @property
    def names(self) -> set[str]:
        """What the publisher calls the file, on its server or where its script saves it; empty where not known."""
        if self.file is None:
            return set()
        return {self.file, self._downloaded or self.file}

    @property
    def _downloaded(self) -> str | None:
        """What a browser or wget calls it."""
        return PurePosixPath(self.url).name if self.file and self.url and "?" not in self.url else None

    def expected(self) -> tuple[ExpectedTensor, ...]:
        """All tensors of the file, in the order of the network that they fill; empty where they are not known."""
        return _expected(self.name)

    def lacking(self, names: Mapping[str, Any]) -> list[ExpectedTensor]:
        """Which of its tensors are not among ``names``; a checkpoint's prefixes do not count."""
        if self.model is None or self.layout is None:
            return []
        weight_map = self.layout.build(self._network(self.layout, self.model))
        there = {weight_map.bare(name) for name in names}
        return [each for each in self.expected() if not each.optional and weight_map.bare(each.name) not in there]

    def _network(self, layout: NameMap, model: str) -> VideoModel:
        return build_meta(model, self.classes or DEFAULT_CLASSES, {**layout.options, **self.options})

    def to_dict(self, *, tensors: bool = True) -> dict[str, Any]:
        """JSON-ready, with what its layout says and, unless they are not wanted, all tensors."""
        shown = ("name", "family", "file", "url", "get", "sha256", "sha256_from", "sha256_begins", "map", "model")
        facts = {
            **{key: getattr(self, key) for key in shown},
            "what": self.layout.title if self.layout else None,
            "options": self.network_options,
            "classes": self.classes,
            "labels": None if self.labels is None else asdict(self.labels),
            "recipe": self.recipe,
            "license": self.license,
            "published": [str(figure) for figure in self.published],
            "fits": self.model is not None,
            "why_not": self.why,
            "instead": self.instead,
            "command": self.command,
        }
        return {**facts, "tensors": [asdict(each) for each in self.expected()]} if tensors else facts


@lru_cache(maxsize=1)
def known_files() -> tuple[KnownFile, ...]:
    """All files of the catalog: by family, and in a family those that fill a network first."""
    found: dict[str, list[KnownFile]] = {}
    for name in _FILES:
        for family, files in _toml(name).items():
            for file, facts in files.items():
                found.setdefault(family, []).extend(_read(f"{family}.{file}", facts))
    return tuple(each for family in found.values() for each in family)


@cache
def label_files() -> Mapping[str, LabelFile]:
    """The known lists of class names, by what they are of, such as ``sports1m``."""
    return {name: LabelFile(**facts) for name, facts in _toml(_LABELS).items()}


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def find_files(pattern: str) -> list[KnownFile]:
    """The files whose name is, or matches, a pattern such as ``tsn.*``; a family alone is all of it.

    Raises
    ------
    UsageError
        If there is none.
    """
    found = [each for each in known_files() if fnmatchcase(each.name, pattern) or each.family == pattern]
    if not found:
        families = dict.fromkeys(each.family for each in known_files())
        near = [each.name for each in known_files() if each.family == pattern.partition(".")[0]]
        raise UsageError(
            f"the catalog has no weights file {pattern!r}",
            remedy=suggestion(pattern, near or families, "there are" if near else "the families are"),
        )
    return found


def named_like(path: Path) -> KnownFile | None:
    """The public file that has this file's name, if one has."""
    return next((each for each in known_files() if path.name in each.names), None)


def published(sha256: str) -> KnownFile | None:
    """The public file that has this hash, whatever it is called; beginnings of hashes do not count."""
    return next((each for each in known_files() if each.sha256 == sha256), None)


def _read(name: str, facts: dict[str, Any]) -> Iterator[KnownFile]:
    """The files of one table: one, or one for each split."""
    facts = dict(facts)
    figures = tuple(Published(**figure) for figure in facts.pop("published"))
    if "labels" in facts:
        facts["labels"] = label_files()[facts["labels"]]
    for split in facts.pop("split", [None]):
        filled: dict[str, Any] = {
            key: value.replace("{split}", str(split)) if isinstance(value, str) else value
            for key, value in facts.items()
        }
        if "map" in facts:
            filled.setdefault("license", get_map(facts["map"]).license)
        yield KnownFile(name.replace("{split}", str(split)), published=figures, split=split, **filled)


@cache
def _expected(name: str) -> tuple[ExpectedTensor, ...]:
    known = next(each for each in known_files() if each.name == name)
    layout = known.layout
    if known.model is None or layout is None:
        return tuple(ExpectedTensor(name, tuple(shape)) for key, shape in known.tensors.items() for name in _each(key))
    network = known._network(layout, known.model)
    return tuple(_from_rules(known, network, layout.build(network)))


def _from_rules(known: KnownFile, network: VideoModel, weight_map: WeightMap) -> Iterator[ExpectedTensor]:
    helpers = set()
    for target, tensor in network.state_dict().items():
        kept = weight_map.kept(target)
        found = list(spellings(weight_map, target))
        if kept is not None and (kept.why == NO_CLASSIFIER or not found):
            continue
        name, rule = next((each for each in found if known.spelling and re.search(known.spelling, each[0])), found[0])
        sides = next((n for pattern, n in known.sides.items() if tensor.ndim and re.search(pattern, name)), None)
        stored = stored_shape(tuple(tensor.shape), rule.how, sides)
        dtype = "F32" if tensor.is_floating_point() else "I64"
        yield ExpectedTensor(known.prefix + name, stored, dtype, target, optional=kept is not None)
        match = re.fullmatch(rule.source, name)
        for step, companion in zip([step for step in rule.how if step in COMPANIONED], rule.companions, strict=True):
            helper = match.expand(companion) if match is not None else ""
            if helper and helper not in helpers:
                helpers.add(helper)
                # A factor is one number, a bias as many as the tensor that takes it in.
                yield ExpectedTensor(known.prefix + helper, (1,) if step == BN_FACTOR else tuple(tensor.shape), dtype)


def _each(pattern: str) -> Iterator[str]:
    """``bn{1,2}.{0..2}`` → every name that it stands for."""
    pattern = pattern.replace("{norm}", _NORM)
    if (match := re.search(r"\{([^}]*)\}", pattern)) is None:
        yield pattern
        return
    first, dots, last = match[1].partition("..")
    choices = map(str, range(int(first), int(last) + 1)) if dots else match[1].split(",")
    for choice in choices:
        yield from _each(pattern[: match.start()] + choice + pattern[match.end() :])
