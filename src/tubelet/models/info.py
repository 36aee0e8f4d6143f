"""A network's facts, and how they are told: ``print(model_info("c3d"))`` and ``tubelet models c3d`` are one text."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tubelet.reporting.text import aligned, times

if TYPE_CHECKING:
    from tubelet.models.counts import LayerUse
    from tubelet.models.spec import InputSpec, Paper, Source

_WIDTH = 100


@dataclass(frozen=True)
class ModelInfo:
    """A network's facts, computed from the network itself.

    ``str()`` of it is for people, with a row for each layer; `dataclasses.asdict` has the same as values.

    Attributes
    ----------
    name, num_classes, options
        What was asked for, with all defaults filled in.
    parameters
        Trainable numbers.
    macs
        Multiply-adds of one clip in convolutions, fully connected layers and the products of attention.
    input
        The clip it takes.
    layer_names
        Names that ``features`` accepts.
    layers
        Shapes, parameters and multiply-adds of each layer with weights.
    norm_parameters
        Scales and shifts of batch normalization.
    activation_bytes
        What all layers give out for one input, in float32.
    receptive_field
        Frames, rows and columns that one value of the last feature map sees; None where there is no feature map.
    paper, source
        Where it comes from; how it was reconstructed, where it was; and what the paper prints about it.
    attention_macs
        How many of ``macs`` are products between activations, which no layer with weights has.
    """

    name: str
    num_classes: int
    options: dict[str, Any]
    parameters: int
    macs: int
    input: InputSpec
    layer_names: tuple[str, ...]
    layers: tuple[LayerUse, ...]
    norm_parameters: int
    activation_bytes: int
    receptive_field: tuple[int, int, int] | None
    paper: Paper
    source: Source
    attention_macs: int = 0

    @property
    def takes(self) -> str:
        """One input: ``3×16×112×112 rgb`` (channels, frames, height, width)."""
        return f"{times(self.input.shape)} {self.input.modality}"

    @property
    def sees(self) -> str:
        """The receptive field: ``76×150×150``, or a dash."""
        return "-" if self.receptive_field is None else times(self.receptive_field)

    @property
    def cited(self) -> str:
        """The paper by its first author and year: ``Tran 2015``."""
        first = self.paper.authors.split(", ")[0]
        return f"{first.split()[-1]} {self.paper.year or ''}".rstrip()

    def __str__(self) -> str:
        paper, source = self.paper, self.source
        options = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
        mark = "a reconstruction from the sources below, with the choices below" if source.reconstruction else ""
        facts = [
            ("paper", f"{paper.authors} ({paper.year}). {paper.title}, {paper.section}. {paper.url}"),
            ("network", mark),
            ("source", source.origin),
            *(("choice", choice) for choice in source.choices),
            ("options", options),
            ("recipe", self.input.recipe),
        ]
        told = [f"{heading + ':':<9}{text}" for heading, text in facts if text]
        field = f"one value of the last feature map sees {self.sees} (frames × rows × columns)"
        return "\n".join(
            [
                f"{self.name}  {self.takes}  {self.num_classes} classes",
                *map(_wrapped, told),
                "",
                *self._table(),
                "",
                f"activations of one input in float32: {self.activation_bytes / 2**20:,.1f} MiB",
                *([] if self.receptive_field is None else [field]),
                *(f"the paper prints {quantity}: {figure}" for quantity, figure in source.printed.items()),
                "",
                _wrapped(f"--layers takes any of: {', '.join(self.layer_names)}"),
            ]
        )

    def _table(self) -> list[str]:
        rows = [("layer", "output", "parameters", "MACs")]
        rows += [
            (layer.name, times(layer.output_shape[1:]), f"{layer.parameters:,}", f"{layer.macs:,}")
            for layer in self.layers
        ]
        if self.norm_parameters:
            rows.append(("batch normalization", "", f"{self.norm_parameters:,}", ""))
        used = {layer.name: layer.parameters for layer in self.layers}  # a layer that works twice has its weights once
        if rest := self.parameters - self.norm_parameters - sum(used.values()):
            # Of networks of Hugging Face also norms, embeddings and tokens, which are no layers here.
            what = "everything else" if self.name.startswith("hf:") else "not used for the logits"
            rows.append((what, "", f"{rest:,}", ""))
        if self.attention_macs:
            rows.append(("products of attention", "", "", f"{self.attention_macs:,}"))
        rows.append(("total", "", f"{self.parameters:,}", f"{self.macs:,}"))
        return aligned(rows, right=(2, 3))


def _wrapped(text: str) -> str:
    """Lines of a hundred characters; addresses and names are never broken."""
    return textwrap.fill(text, _WIDTH, subsequent_indent=" " * 9, break_long_words=False, break_on_hyphens=False)
