"""The public weights files that a layout is known for: ``catalog.toml`` as values."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tubelet.models.registry import DEFAULT_CLASSES, build_meta
from tubelet.weights.maps import NameMap, get_map

_CATALOG = Path(__file__).with_name("catalog.toml")
_MEMORY = "memory"


@dataclass(frozen=True)
class Published:
    """A figure and who says it; from memory means that nobody has looked it up."""

    figure: str
    source: str

    def __str__(self) -> str:
        said = "from memory, not looked up" if self.source == _MEMORY else self.source
        return f"{self.figure} ({said})"


@dataclass(frozen=True)
class KnownFile:
    """A public weights file.

    Attributes
    ----------
    name
        Such as ``c3d.sports1m``.
    file
        As its publisher calls it.
    get
        Who links to it or how it comes about.
    map
        Name of its layout, which knows recipe, license and options.
    model
        The network that it fills.
    published
        What it reaches, by whom.
    classes
        Outputs of its classifier; None where it has none.
    url, sha256, sha256_begins
        Where known.
    """

    name: str
    file: str
    get: str
    map: str
    model: str
    published: tuple[Published, ...]
    classes: int | None = None
    url: str | None = None
    sha256: str | None = None
    sha256_begins: str | None = None

    @property
    def layout(self) -> NameMap:
        return get_map(self.map)

    @property
    def command(self) -> str:
        """How it becomes a model folder, once it is there."""
        words = ["tubelet", "convert-weights", self.file, "--map", self.map, "-o", self.name]
        words += [] if self.classes else ["--classes", str(DEFAULT_CLASSES)]
        words += ["--mean", "MEAN"] if self.layout.recipe == "c3d_sports1m" else []
        return shlex.join(words)

    def expected(self) -> dict[str, tuple[int, ...]]:
        """The network's tensors that the file has to fill, with their shapes."""
        network = build_meta(self.model, self.classes or DEFAULT_CLASSES, dict(self.layout.options))
        keep = self.layout.build(network).keep
        return {
            name: tuple(tensor.shape)
            for name, tensor in network.state_dict().items()
            if not any(re.fullmatch(each.target, name) for each in keep)
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with what its layout says."""
        layout = self.layout
        return {
            "name": self.name,
            "file": self.file,
            "url": self.url,
            "get": self.get,
            "sha256": self.sha256,
            "sha256_begins": self.sha256_begins,
            "map": self.map,
            "what": layout.title,
            "model": self.model,
            "options": dict(layout.options),
            "classes": self.classes,
            "recipe": layout.recipe,
            "license": layout.license,
            "published": [str(figure) for figure in self.published],
            "command": self.command,
        }


def known_files() -> list[KnownFile]:
    """All files of the catalog, in its order."""
    families = tomllib.loads(_CATALOG.read_text(encoding="utf-8"))
    return [_known(f"{family}.{name}", facts) for family, files in families.items() for name, facts in files.items()]


def _known(name: str, facts: dict[str, Any]) -> KnownFile:
    figures = tuple(Published(**figure) for figure in facts["published"])
    return KnownFile(**{**facts, "name": name, "published": figures})
