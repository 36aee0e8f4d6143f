"""Rules for the blocks of residual networks: torch counts them within a stage, ours have Caffe's names.

He et al.'s Caffe files call the blocks of stages 3 and 4 a, b1, b2, … in ResNet-101 and -152, ours do where letters run
out. Their ResNet-50 has a bias in conv1, which its norm takes in here: the deploy prototxts differ in that alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tubelet.models.resnet import DEPTHS as _BLOCKS
from tubelet.models.resnet import block_names
from tubelet.weights.maps.layout import NORM, Shapes, caffe_scaled_norm, counts, is_kernel
from tubelet.weights.rules import Rule
from tubelet.weights.transforms import FRAME_AXIS, UNCHANGED

DEPTHS = {str(number): blocks for number, blocks in _BLOCKS.items()}
"""Bottlenecks in stages 2 to 5 by the network's number."""

BOTTLENECK = {
    "conv1": ("bn1", "branch2a"),
    "conv2": ("bn2", "branch2b"),
    "conv3": ("bn3", "branch2c"),
    r"downsample\.0": (r"downsample\.1", "branch1"),
}
"""torchvision's convolution → its norm, and what both are called here."""

MM_BOTTLENECK = {
    r"conv1\.conv": (r"conv1\.bn", "branch2a"),
    r"conv2\.conv": (r"conv2\.bn", "branch2b"),
    r"conv3\.conv": (r"conv3\.bn", "branch2c"),
    r"downsample\.conv": (r"downsample\.bn", "branch1"),
}
"""The same of mmaction2, where a module holds a convolution and its norm."""


def block_rules(
    prefix: str, names: Mapping[str, str], stage: int, parts: Mapping[str, tuple[str, str]], *, flat: bool = True
) -> Iterator[Rule]:
    """The rules of one stage's blocks.

    Parameters
    ----------
    prefix
        In front of ``layer1``, as a regular expression.
    names
        torch's number of a block, as a regular expression, → our name, which may refer to that expression's group.
    stage
        1 to 4, as torch counts.
    parts
        As `BOTTLENECK`.
    flat
        Whether kernels are 2-D and get a frame axis.
    """
    how = (FRAME_AXIS if flat else UNCHANGED,)
    for i, block in names.items():
        for conv, (norm, ours) in parts.items():
            yield Rule(rf"{prefix}layer{stage}\.{i}\.{conv}\.weight", f"{block}.{ours}.weight", how)
            yield Rule(rf"{prefix}layer{stage}\.{i}\.{norm}\.{NORM}", rf"{block}.{ours}_bn.\g<norm>")


def trunk_rules(prefix: str, depth: str, stem: tuple[str, str], parts: Mapping[str, tuple[str, str]]) -> list[Rule]:
    """The rules of a 2-D residual network up to its last block, for `tubelet.models.resnet`.

    Parameters
    ----------
    prefix
        In front of every name, as a regular expression.
    depth
        Of `DEPTHS`.
    stem
        The first convolution and its norm, as regular expressions.
    parts
        As `BOTTLENECK`.
    """
    rules = [
        Rule(rf"{prefix}{stem[0]}\.weight", "conv1.weight", (FRAME_AXIS,)),
        Rule(rf"{prefix}{stem[1]}\.{NORM}", r"conv1_bn.\1"),
    ]
    blocks = block_names(DEPTHS[depth])
    for stage in (1, 2, 3, 4):
        names = {str(i): name for i, name in enumerate(name for name in blocks if name[3] == str(stage + 1))}
        rules += block_rules(prefix, names, stage, parts)
    return rules


def caffe_trunk_rules(depth: str) -> list[Rule]:
    """The rules of He et al.'s Caffe release up to the last block, for `tubelet.models.resnet` in Caffe's style.

    Parameters
    ----------
    depth
        Of `DEPTHS`.
    """
    bias = "conv1[1]" if depth == "50" else None
    rules = [
        Rule(r"conv1\[0\]", "conv1.weight", (FRAME_AXIS,)),
        *caffe_scaled_norm("bn_conv1", "scale_conv1", "conv1_bn", "bn_conv1[2]", bias=bias),
    ]
    branch = r"_(branch1|branch2[abc])"
    names = (block_names(DEPTHS[depth], numbered=numbered) for numbered in (depth != "50", False))
    for theirs, ours in zip(*names, strict=True):
        place = theirs.removeprefix("res")
        rules += [
            Rule(rf"{theirs}{branch}\[0\]", rf"{ours}.\1.weight", (FRAME_AXIS,)),
            *caffe_scaled_norm(rf"bn{place}{branch}", rf"scale{place}{branch}", rf"{ours}.\1_bn", rf"bn{place}_\1[2]"),
        ]
    return rules


def is_caffe_trunk(shapes: Shapes, depth: str) -> bool:
    """Whether a file is of He et al.'s Caffe release, with that depth of `DEPTHS`."""
    bottlenecks = is_kernel(shapes, "conv1[0]", channels=3, side=7) and is_kernel(shapes, "res2a_branch2c[0]", side=1)
    counted = counts(shapes, r"res(\d)([a-z]\d*)_branch2a\[0\]")
    return bottlenecks and "scale_conv1[0]" in shapes and counted == DEPTHS[depth]


def is_trunk(shapes: Shapes, prefix: str, conv: str, depth: str | None = None) -> bool:
    """Whether a file has bottlenecks over frames.

    Parameters
    ----------
    prefix
        In front of every name.
    conv
        How a convolution's weight ends, behind ``conv1``.
    depth
        Of `DEPTHS`; None for any.
    """
    bottlenecks = is_kernel(shapes, f"{prefix}conv1{conv}", side=7) and is_kernel(
        shapes, f"{prefix}layer1.0.conv3{conv}", side=1
    )
    return bottlenecks and (
        depth is None or counts(shapes, rf"{prefix.replace('.', '[.]')}layer(\d)\.(\d+)\.") == DEPTHS[depth]
    )
