"""Temporal segment networks (Wang et al., ECCV 2016, section 3.1): one 2-D network on a few snippets of a whole video.

============== ======================================== ==================================
layer          operation                                output, K snippets
============== ======================================== ==================================
input          one snippet from each of K equal parts   channels × K × 224 × 224
trunk          BN-Inception or ResNet on each snippet   1024 (2048) × K × 7 × 7
global_pool    average over rows and columns            1024 (2048) × K × 1 × 1
               dropout
segment_scores fc_action on each snippet                classes × K × 1 × 1
fc_action      the consensus of the segment scores      classes
prob           softmax                                  classes
============== ======================================== ==================================

The snippets share all weights, and the consensus comes before the softmax. The module ``fc_action`` is the classifier
that each snippet passes through; the layer of that name is what the video gets. Trunks are in
`tubelet.models.bn_inception`, `tubelet.models.resnet` and `tubelet.models.squeezenet`, the consensus in
`tubelet.models.consensus`.

SqueezeNet is no network of the papers: it is a small trunk (735,424 parameters for RGB; fire9 gives 512 × K × 13 × 13
at 227 × 227) for processors without a GPU. Its own classifier, conv10 and the average of its maps, is what the table
has: without a ReLU between them, the mean of conv10's outputs over all places is conv10 on the mean of its inputs.

============== ======== ======================================== =======
modality       channels a snippet is                             dropout
============== ======== ======================================== =======
rgb            3        a frame                                  0.8
rgb_difference 15       5 differences of 6 consecutive frames    0.8
flow           10       5 flow fields, x and y in turn           0.7
warped_flow    10       the same, with camera motion taken out   0.7
============== ======== ======================================== =======

================ ======= ========== ========== ==========
network          classes rgb        flow       difference
================ ======= ========== ========== ==========
tsn_bn_inception 101     10,373,765 10,395,717 10,411,397
tsn_bn_inception 51      10,322,515 10,344,467
tsn_resnet50     101     23,714,981 23,736,933 23,752,613
tsn_resnet101    101     42,707,109 42,729,061 42,744,741
tsn_resnet152    101     58,350,757 58,372,709 58,388,389
tsn_squeezenet   101     787,237    820,165    843,685
================ ======= ========== ========== ==========
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tubelet.clips.modality import ModalityName
from tubelet.errors import UsageError
from tubelet.models.bn_inception import BnInception
from tubelet.models.consensus import make_consensus
from tubelet.models.contract import VideoModel, Weighted
from tubelet.models.initialization import gaussian
from tubelet.models.options import boolean, fraction, positive_float, positive_int, suggestion
from tubelet.models.resnet import DEPTHS, ResNet, resnet_style, stage_blocks
from tubelet.models.spec import InputSpec, Paper, Source
from tubelet.models.squeezenet import SqueezeNetTrunk

PAPER = Paper(
    title="Temporal Segment Networks: Towards Good Practices for Deep Action Recognition",
    authors="Limin Wang, Yuanjun Xiong, Zhe Wang, Yu Qiao, Dahua Lin, Xiaoou Tang, Luc Van Gool",
    year=2016,
    arxiv="1608.00859",
    section="3.1",
)

CHANNELS = {"rgb": 3, "rgb_difference": 15, "flow": 10, "warped_flow": 10}
_MOTION = {
    "rgb_difference": "tsn_rgb_difference",
    "flow": "flow_224",
    "warped_flow": "flow_224",
}
_FLOW = ("flow", "warped_flow")

_CHOICES: dict[str, tuple[str, ...]] = {
    "weighted": ("The weights of the segments start at 1/K, as an average: the papers do not say.",),
    "attention": (
        "The attention weights start at 0, as an average: the papers do not say.",
        "Attention looks at the pooled activations before dropout: the papers do not say.",
    ),
}

_SQUEEZENET = (
    "No paper puts temporal segments on SqueezeNet; its trunk and its pixels (256 × 256 cropped to 227) are kept.",
    "The classifier is SqueezeNet's conv10 with the average before it, which gives the same scores.",
    "Dropout is TSN's, on the 512 pooled activations; SqueezeNet drops values of fire9's maps.",
    "The classifier starts as TSN's, gaussian with standard deviation 0.001; SqueezeNet's starts with 0.01.",
)

_Trunk = BnInception | ResNet | SqueezeNetTrunk


class GlobalPool(nn.Module):
    """The average over rows and columns, for each snippet."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) → (N, C, T, 1, 1)."""
        return x.mean((3, 4), keepdim=True)


class Tsn(VideoModel):
    """A trunk on every snippet, a classifier, and the consensus of their scores; the table heads this module.

    Parameters
    ----------
    name
        The registry's name.
    trunk
        The 2-D network.
    recipe
        Name of the preprocessing.
    source
        Where the trunk's layers were taken from.
    modality, segments, consensus, top_k, dropout, partial_bn
        See `tsn_bn_inception`; here ``dropout`` is a number. SqueezeNet has no batch normalization to freeze.
    num_classes, side, options
        See `VideoModel` and `InputSpec`.

    Notes
    -----
    The classifier starts gaussian with standard deviation 0.001 and bias 0 [temporal-segment-networks prototxts,
    tsn-pytorch models.py]; a trunk as its module says.
    """

    def __init__(
        self,
        name: str,
        trunk: _Trunk,
        *,
        num_classes: int,
        modality: ModalityName,
        recipe: str,
        segments: int,
        consensus: str,
        top_k: int | None,
        dropout: float,
        side: int,
        source: Source,
        options: Mapping[str, Any],
        partial_bn: bool = False,
    ) -> None:
        channels, segments = CHANNELS[modality], positive_int("segments", segments)
        super().__init__(
            name,
            num_classes=num_classes,
            options=options,
            input=InputSpec(modality, channels, 1, 1, side, recipe, segments),
            layer_names=(*trunk.layer_names, "global_pool", "segment_scores", "fc_action", "prob"),
            head_name="fc_action",
            paper=PAPER,
            source=source,
        )
        self.trunk = trunk
        units = trunk.add_to(self, channels)
        self.global_pool = GlobalPool()
        self.dropout = nn.Dropout(fraction("dropout", dropout))
        self.fc_action = nn.Linear(units, self.num_classes)
        self.consensus = make_consensus(consensus, segments=segments, units=units, top_k=top_k)
        if boolean("partial_bn", partial_bn):
            self.freeze_norms()

    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield (layer name, activation) in the order of ``layer_names``, see `VideoModel.activations`.

        Raises
        ------
        UsageError
            If the consensus cannot be taken over so many snippets.
        """
        maps = x
        for name, maps in self.trunk.activations(self, x):
            yield name, maps
        pooled = self.global_pool(maps)
        yield "global_pool", pooled
        hidden = pooled.flatten(2).transpose(1, 2)
        scores = self.fc_action(self.dropout(hidden))
        yield "segment_scores", scores.transpose(1, 2)[..., None, None]
        video = self.consensus(scores, hidden)
        yield "fc_action", video
        yield "prob", video.softmax(1)

    def initialize_layer(self, name: str, layer: Weighted, generator: torch.Generator) -> None:
        """Starting weights of one layer, see the class's notes and `VideoModel.source`."""
        if name == "fc_action":
            gaussian(layer, 0.001, 0.0, generator)
        elif name == "consensus.weights":
            nn.init.constant_(layer.weight, 1 / self.input.segments)
        elif name == "consensus.attention":
            nn.init.zeros_(layer.weight)
        else:
            self.trunk.initialize_layer(layer, generator)

    def parameter_groups(self, lr: float, weight_decay: float) -> list[dict[str, Any]]:
        """As for every network; a first convolution that sees flow learns five times as fast.

        Its weights have learning rate × 5 and decay × 1, its biases × 10 and × 0, in groups of their own, for they
        were made from weights that saw RGB [temporal-segment-networks, flow train_val prototxts; tsn-pytorch].
        """
        groups = super().parameter_groups(lr, weight_decay)
        if self.input.modality not in _FLOW:
            return groups
        first = self.get_submodule(self.trunk.first_layer)
        for parameter in first.parameters(recurse=False):
            for group in list(groups):
                others = [other for other in group["params"] if other is not parameter]
                if len(others) < len(group["params"]):
                    mult = 5 * group["lr_mult"]
                    own = {"name": f"first_{group['name']}", "params": [parameter], "lr": lr * mult, "lr_mult": mult}
                    groups.append({**group, **own})
                    group["params"] = others
        return [group for group in groups if group["params"]]


def tsn_bn_inception(
    name: str,
    num_classes: int,
    *,
    modality: str = "rgb",
    segments: int = 3,
    consensus: str = "average",
    top_k: int | None = None,
    dropout: float | None = None,
    partial_bn: bool = False,
    width: float = 1.0,
    side: int = 224,
) -> VideoModel:
    """TSN on BN-Inception, the papers' network; tables are at the head of this module and of its trunk's.

    Parameters
    ----------
    name, num_classes
        As for all builders.
    modality
        ``"rgb"``, ``"rgb_difference"``, ``"flow"`` or ``"warped_flow"``: what a snippet is.
    segments
        Parts of the video, with a snippet each (papers: 3, and 7 in the end). All but the weighted consensus take
        any number of snippets afterwards, such as 25 in tests.
    consensus
        ``"average"``, ``"max"``, ``"top_k"``, ``"weighted"`` or ``"attention"``, see `tubelet.models.consensus`.
    top_k
        Scores per class that ``"top_k"`` averages; for that consensus only.
    dropout
        Share of the pooled activations dropped in training; None: the paper's, 0.8 for RGB and its differences and
        0.7 for flow.
    partial_bn
        Keep all batch normalizations but the first as they are, as the papers do from pretrained weights.
    width
        Factor on all channels.
    side
        Height and width of the crop in pixels: a multiple of 32.

    Raises
    ------
    UsageError
        If an option has no such value, or they do not fit together.
    """
    return _tsn(
        name,
        num_classes,
        BnInception(positive_float("width", width), positive_int("side", side)),
        modality=modality,
        segments=segments,
        consensus=consensus,
        top_k=top_k,
        dropout=dropout,
        partial_bn=partial_bn,
        width=width,
        side=side,
    )


def tsn_resnet(
    name: str,
    num_classes: int,
    *,
    modality: str = "rgb",
    segments: int = 3,
    consensus: str = "average",
    top_k: int | None = None,
    dropout: float | None = None,
    partial_bn: bool = False,
    width: float = 1.0,
    side: int = 224,
    style: str = "torchvision",
    blocks: Sequence[int] | None = None,
) -> VideoModel:
    """TSN on ResNet-50, -101 or -152 by its name, as the PyTorch codes have it; options as for `tsn_bn_inception`.

    Frames are preprocessed as the style's ImageNet weights want them; differences and flow as for BN-Inception.

    Parameters
    ----------
    style
        ``"torchvision"``, or ``"caffe"`` for the ResNets of He et al.'s release, which P3D starts from: where rows
        and columns are halved, see `tubelet.models.resnet`.
    blocks
        Blocks in stages 2 to 5, for shallower networks; None: those of the name.
    name, num_classes, modality, segments, consensus, top_k, dropout, partial_bn, width, side
        As for `tsn_bn_inception`; any ``side`` fits.
    """
    counts = stage_blocks("blocks", DEPTHS[int(name.removeprefix("tsn_resnet"))] if blocks is None else blocks)
    return _tsn(
        name,
        num_classes,
        ResNet(positive_float("width", width), counts, resnet_style("style", style)),
        modality=modality,
        segments=segments,
        consensus=consensus,
        top_k=top_k,
        dropout=dropout,
        partial_bn=partial_bn,
        width=width,
        side=side,
        style=style,
        blocks=list(counts),
    )


def tsn_squeezenet(
    name: str,
    num_classes: int,
    *,
    modality: str = "rgb",
    segments: int = 3,
    consensus: str = "average",
    top_k: int | None = None,
    dropout: float | None = None,
    width: float = 1.0,
    side: int = 227,
) -> VideoModel:
    """TSN on SqueezeNet v1.0, a reconstruction that is in no paper; options as for `tsn_bn_inception`.

    Frames are preprocessed as SqueezeNet's ImageNet weights want them; differences and flow as for BN-Inception.

    Parameters
    ----------
    name, num_classes, modality, segments, consensus, top_k, dropout, width, side
        As for `tsn_bn_inception`; any ``side`` that leaves a row fits.
    """
    trunk = SqueezeNetTrunk(positive_float("width", width))
    trunk.require_rows(positive_int("side", side))
    return _tsn(
        name,
        num_classes,
        trunk,
        modality=modality,
        segments=segments,
        consensus=consensus,
        top_k=top_k,
        dropout=dropout,
        width=width,
        side=side,
    )


_ORIGINS = {
    BnInception: "yjxiong/temporal-segment-networks, prototxts of tsn_bn_inception",
    ResNet: "layers as in torchvision's ResNet, on which yjxiong/tsn-pytorch and mmaction2 build TSN",
    SqueezeNetTrunk: "trunk from train_val.prototxt of forresti/SqueezeNet (SqueezeNet_v1.0), all else from "
    "yjxiong/temporal-segment-networks",
}
# Frames as the trunk's ImageNet weights saw them.
_FRAMES = {BnInception: "tsn_rgb", ResNet: "resnet_rgb", SqueezeNetTrunk: "caffenet"}


def _tsn(name: str, num_classes: int, trunk: _Trunk, **options: Any) -> VideoModel:
    modality, consensus, kind = options["modality"], options["consensus"], type(trunk)
    if modality not in tuple(CHANNELS):
        raise UsageError(
            f"there is no modality {modality!r}", remedy=suggestion(str(modality), CHANNELS, "choose one of")
        )
    if options["dropout"] is None:
        options["dropout"] = 0.7 if modality in _FLOW else 0.8
    origin, frames = _ORIGINS[kind], _FRAMES[kind]
    choices = (_SQUEEZENET if kind is SqueezeNetTrunk else ()) + _CHOICES.get(str(consensus), ())
    if isinstance(trunk, ResNet):
        if trunk.style == "caffe":
            origin, frames = "layers as in the prototxts of KaimingHe/deep-residual-networks", "resnet_bgr"
            choices += ("TSN on these networks was not published: the papers' later codes build on torchvision's.",)
        if modality != "rgb":
            choices += ("Differences and flow are preprocessed as for BN-Inception; tsn-pytorch also scales them.",)
    return Tsn(
        name,
        trunk,
        num_classes=num_classes,
        recipe=frames if modality == "rgb" else _MOTION[modality],
        source=Source(kind is SqueezeNetTrunk, origin, choices),
        options=options,
        **{key: value for key, value in options.items() if key not in ("width", "style", "blocks")},
    )
