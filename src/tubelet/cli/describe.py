"""Where a protocol on descriptors gets them: tables that are there, and a network that describes the videos first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tubelet.cli.options import choose_device, say
from tubelet.cli.sources import model_folder, open_model, recipe_with_mean, source_of
from tubelet.errors import UsageError

if TYPE_CHECKING:
    from tubelet.datasets.manifest import Manifest
    from tubelet.descriptors.extractor import Extractor

DESCRIPTORS = "descriptors"
"""The folder of the table, below the run's, that a network given with ``--model`` fills."""

TablesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        help="Folder of tubelet extract (descriptors, or trajectories of --model idt), or npz, parquet or csv with "
        "video_id; NAME=PATH names it (net1=table.npz). "
        "Give it again for each further table: their vectors stand side by side.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Describe the videos with this first: model folder, run of tubelet train, hf:ORG/NAME or untrained:NAME.",
    ),
]
LayersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        help="For all tables, or one each, in their order, --model's last; of trajectories bow, fisher, bow1000 ...",
        show_default="fc6, else pool5; bow",
    ),
]
StrideOption = Annotated[
    int | None,
    typer.Option(
        "--stride-frames", min=1, help="--model: frames between clip starts.", show_default="8, single frames 1"
    ),
]


@dataclass(frozen=True)
class Described:
    """Tables and a network, as given on the command line.

    Attributes
    ----------
    tables
        ``PATH`` or ``NAME=PATH`` each.
    layers
        None, one for all, or one each, the network's last.
    model, stride_frames, clip_length, mean, flow, any_flow, workers, device
        Of the network, as for ``tubelet extract``.
    """

    tables: Sequence[str]
    layers: Sequence[str]
    model: str | None = None
    stride_frames: int | None = None
    clip_length: int | None = None
    mean: Path | None = None
    flow: Path | None = None
    any_flow: bool = False
    workers: int = 2
    device: str = "auto"
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.tables) + (self.model is not None)
        if not count:
            raise UsageError(
                "there are no descriptors to fit an SVM on",
                remedy="give --table (of tubelet extract, or another tool's), or --model DIR to describe the videos",
            )
        if len(self.layers) not in (0, 1, count):
            raise UsageError(
                f"{len(self.layers)} layers are named for {count} tables", remedy="give one --layer, or one per table"
            )

    def given(self) -> list[tuple[str, str | None, str | None]]:
        """Path, layer and name of each table that is there already."""
        found: list[tuple[str, str | None, str | None]] = []
        for index, table in enumerate(self.tables):
            name, sign, path = table.partition("=")
            named = bool(sign) and not Path(table).exists()
            found.append((path if named else table, self._layer(index), name if named else None))
        return found

    @contextmanager
    def extractor(self) -> Iterator[Extractor | None]:
        """The network of ``--model``, ready to describe; None where there is none."""
        if self.model is None:
            yield None
            return
        from tubelet.descriptors.extractor import Extractor
        from tubelet.models.spec import descriptor_layer

        net = open_model(self.model)
        with Extractor(
            net,
            (self._layer(len(self.tables)) or descriptor_layer(net.layer_names),),
            clip_length=self.clip_length,
            stride_frames=self.stride_frames,
            recipe=recipe_with_mean(net, self.mean),
            device=choose_device(self.device),
            workers=self.workers,
            flow=self.flow,
            any_flow=self.any_flow,
        ) as found:
            yield found

    def record(self, extractor: Extractor | None) -> dict[str, Any]:
        """What decides the network's descriptors, for the run's settings; empty where there is none."""
        if extractor is None:
            return {}
        return {
            "model": {
                "name": extractor.model.name,
                "weights_sha256": extractor.weights_id,
                "layers": list(extractor.layers),
                "recipe_hash": extractor.recipe.hash,
                "sampling": extractor.sampling.to_dict(),
                **({} if self.flow is None else {"flow": str(self.flow), "any_flow": self.any_flow}),
            }
        }

    def describe(
        self, extractor: Extractor, videos: Manifest, tested: Manifest, folder: Path, *, allow_leak: bool
    ) -> tuple[str, str, str]:
        """Fill the table in ``folder``; its path, layer and name.

        Raises
        ------
        UsageError
            The network was trained on groups that are tested on, and this is not allowed: asked before the work.
        """
        from tubelet.descriptors.runner import extract
        from tubelet.protocols.leak import refuse_seen_groups

        assert self.model is not None
        if not self.model.startswith("untrained:"):
            refuse_seen_groups(model_folder(Path(self.model)), tested, allow=allow_leak)
        source = self.model if self.model.startswith("untrained:") else source_of(str(model_folder(Path(self.model))))
        say(str(extract(videos, extractor, folder, model_source=source)))
        self.notes.extend(extractor.flow_notes)
        return str(folder), extractor.layers[0], extractor.model.name

    def _layer(self, index: int) -> str | None:
        return self.layers[index % len(self.layers)] if self.layers else None
