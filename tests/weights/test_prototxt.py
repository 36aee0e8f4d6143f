"""Caffe's text format, and the blob shapes that definitions in every published spelling ask for."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.errors import InputDataError
from tubelet.weights.caffe import read_caffemodel
from tubelet.weights.caffe_shapes import blob_shapes, check_shapes, defined_layers
from tubelet.weights.prototxt import Message, parse_prototxt, read_prototxt

sys.path.insert(0, str(Path(__file__).parent))
from made_files import caffemodel, write

WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
SCALARS = (
    st.booleans()
    | st.integers(-(1 << 62), 1 << 62)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: not value.is_integer())
    | st.text(
        st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")) | st.sampled_from("\n\t\r"), max_size=8
    )
)
MESSAGES = st.recursive(
    st.lists(st.tuples(WORDS, SCALARS), max_size=4),
    lambda inner: st.lists(st.tuples(WORDS, SCALARS | inner), max_size=4),
    max_leaves=12,
)


def printed(entries: list) -> str:
    lines = []
    for name, value in entries:
        if isinstance(value, list):
            lines.append(f"{name} {{ # {name}\n{printed(value)}}}")
        elif isinstance(value, bool):
            lines.append(f"{name}: {str(value).lower()}")
        elif isinstance(value, str):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
            lines.append(f'{name}: "{escaped}"')
        else:
            lines.append(f"{name}: {value!r}")
    return "\n".join(lines) + "\n"


def plain(message: Message) -> list:
    return [(name, plain(value) if isinstance(value, Message) else value) for name, value in message.entries]


@settings(max_examples=100)
@given(MESSAGES)
def test_what_is_printed_is_read(entries: list) -> None:
    assert plain(parse_prototxt(printed(entries))) == entries


@settings(max_examples=100)
@given(st.text(max_size=60) | st.text('{}[]<>:,;"# ab1.-\n', max_size=60))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    try:
        parse_prototxt(text)
    except ValueError as error:
        assert str(error).startswith("line ") or "digits" in str(error)  # noqa: PT017 - both outcomes are right


def test_all_spellings_of_values() -> None:
    text = """
    a: 'single' "and double"; b: [1, 2,3], c: 0x1F d: -1.5e-3f e: .5 f: MAX g < h: "\\x41\\102\\t\\'" > i: { }
    j: [] b: 4 k: -inf
    """
    message = parse_prototxt(text)
    assert plain(message) == [
        *[("a", "singleand double"), ("b", 1), ("b", 2), ("b", 3), ("c", 31), ("d", -1.5e-3), ("e", 0.5), ("f", "MAX")],
        *[("g", [("h", "AB\t'")]), ("i", []), ("b", 4), ("k", "-inf")],
    ]
    assert message.integers("b") == [1, 2, 3, 4]
    assert (message.text("f"), message.text("none"), message.flag("none", True)) == ("MAX", "", True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a {\n b: 1", "line 2: the text ends within a message"),
        ("a: 1\n}", "line 2: } where a field's name"),
        ("a < }", "} where a field's name"),
        ("a 1", "a has no value"),
        ("a:", "the end where a value belongs"),
        ("a: }", "} where a value belongs"),
        ("a: [1 2]", "a list lacks a comma or its end"),
        ("a: [1", "a list lacks a comma or its end"),
        ('a: "open\n"', "line 1: '\"' belongs to nothing"),
        ("a: 1x", "'1' belongs to nothing"),
        ("1: 2", "1 where a field's name"),
        ("a: " + "9" * 5000, "digits"),
        ("a {" * 100, "nested more than 64 deep"),
    ],
)
def test_what_is_not_of_the_format_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    with pytest.raises(InputDataError) as caught:
        read_prototxt(path)
    assert why in str(caught.value)


def test_files_that_cannot_be_text_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"name: \xff")
    with pytest.raises(InputDataError, match=r"cannot be read.*utf-8"):
        read_prototxt(path)
    with pytest.raises(InputDataError, match="No such file"):
        read_prototxt(tmp_path / "none")
    monkeypatch.setattr("tubelet.weights.prototxt._MAX_BYTES", 4)
    with pytest.raises(InputDataError, match="more than 0 MiB"):
        read_prototxt(path)


C3D_STEM = """
layers { name: "data" type: VIDEO_DATA top: "data" top: "label" }
layers { name: "conv1a" type: CONVOLUTION3D bottom: "data" top: "conv1a"
  convolution_param { num_output: 64 kernel_size: 3 kernel_depth: 3 pad: 1 temporal_pad: 1 } }
layers { name: "relu1a" type: RELU bottom: "conv1a" top: "conv1a" }
layers { name: "pool1" type: POOLING3D bottom: "conv1a" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 kernel_depth: 1 stride: 2 temporal_stride: 1 } }
"""


def defined(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return path


def c3d_definition() -> str:
    """C3D's layers by the table of the paper's release, spelled as there."""
    text, last = C3D_STEM, "pool1"
    for block, width, letters in ((2, 128, "a"), (3, 256, "ab"), (4, 512, "ab"), (5, 512, "ab")):
        for letter in letters:
            name = f"conv{block}{letter}"
            text += f'layers {{ name: "{name}" type: CONVOLUTION3D bottom: "{last}" top: "{name}" convolution_param {{ '
            text += f"num_output: {width} kernel_size: 3 kernel_depth: 3 pad: 1 temporal_pad: 1 }} }}\n"
            last = name
        text += f'layers {{ name: "pool{block}" type: POOLING3D bottom: "{last}" top: "pool{block}" pooling_param {{ '
        text += "pool: MAX kernel_size: 2 kernel_depth: 2 stride: 2 temporal_stride: 2 } }\n"
        last = f"pool{block}"
    for name, width in (("fc6-1", 4096), ("fc7-1", 4096), ("fc8-1", 487)):
        text += f'layers {{ name: "{name}" type: INNER_PRODUCT bottom: "{last}" top: "{name}" inner_product_param {{ '
        text += f"num_output: {width} }} }}\n"
        last = name
    text += 'layers { name: "prob" type: SOFTMAX bottom: "fc8-1" top: "prob" }\n'
    return text + 'layers { name: "accuracy" type: ACCURACY bottom: "prob" bottom: "label" top: "accuracy" }'


def test_the_shapes_of_c3d_are_the_papers(tmp_path: Path) -> None:
    shapes = blob_shapes(defined(tmp_path, c3d_definition()), {"data": (1, 3, 16, 112, 112)})
    assert shapes["conv5b"] == [(512, 512, 3, 3, 3), (512,)]
    assert shapes["fc6-1"] == [(4096, 8192), (4096,)]  # 8192 = 512·1·4·4: pool5 rounds up
    assert sum(int(np.prod(shape)) for blobs in shapes.values() for shape in blobs) == 79_991_015


def test_the_spellings_of_windows_agree(tmp_path: Path) -> None:
    """The same layer by C3D v1.0, by P3D (sides listed), by video-caffe, by one number for all axes."""
    spellings = {
        'type: "Convolution3D"': "convolution3d_param { num_output: 4 kernel_size: 3 kernel_depth: 3 pad: 1 "
        "temporal_pad: 1 stride: 2 temporal_stride: 2 bias_term: false }",
        'type: "Convolution" ': "convolution_param { num_output: 4 bias_term: false kernel_size: 3 kernel_size: 3 "
        "kernel_size: 3 pad: [1, 1, 1] stride: 2 stride: 2 stride: 2 }",
        'type: "NdConvolution"': "convolution_param { num_output: 4 bias_term: false kernel_shape { dim: [3, 3, 3] } "
        "stride_shape { dim: 2 dim: 2 dim: 2 } pad_shape { dim: 1 dim: 1 dim: 1 } }",
        'type: "Convolution"': "convolution_param { num_output: 4 bias_term: false kernel_size: 3 pad: 1 stride: 2 }",
    }
    for kind, param in spellings.items():
        text = 'input: "data" input_shape { dim: 1 dim: 2 dim: 9 dim: 10 dim: 11 }\n'
        text += f'layer {{ name: "c" {kind} bottom: "data" top: "c" {param} }}\n'
        text += 'layer { name: "f" type: "InnerProduct" bottom: "c" top: "f" inner_product_param { num_output: 7 } }'
        shapes = blob_shapes(defined(tmp_path, text))
        assert shapes == {"c": [(4, 2, 3, 3, 3)], "f": [(7, 4 * 5 * 5 * 6), (7,)]}, kind


RESIDUAL = """
name: "kinds"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 6 dim: 16 dim: 13 dim: 13 } } }
layer { name: "train" type: "Data" top: "data" include { phase: TRAIN } }
layer { name: "staged" type: "Data" top: "data" include { phase: TEST stage: "val" } }
layer { name: "not" type: "Data" top: "data" exclude { phase: TEST } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 8 group: 2 bias_term: false
    kernel_size: [1, 7, 7] pad: [0, 3, 3] stride: [1, 2, 2] } }
layer { name: "bn" type: "BN" bottom: "c1" top: "bn" bn_param { frozen: true } }
layer { name: "norm" type: "BatchNorm" bottom: "bn" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "scale_only" type: "Scale" bottom: "bn" top: "bn" }
layer { name: "slope" type: "PReLU" bottom: "bn" top: "bn" }
layer { name: "pool" type: "Pooling3D" bottom: "bn" top: "pool"
  pooling3d_param { pool: MAX kernel_size: 3 stride: 2 kernel_l: 2 stride_l: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "pool" bottom: "pool" top: "sum" }
layer { name: "both" type: "Concat" bottom: "sum" bottom: "pool" top: "both" concat_param { axis: 1 } }
layer { name: "frames" type: "Reshape" bottom: "both" top: "frames"
  reshape_param { shape { dim: -1 dim: 16 dim: 3 dim: 3 } } }
layer { name: "c2" type: "Convolution" bottom: "frames" top: "c2"
  convolution_param { num_output: 5 kernel_h: 3 kernel_w: 1 pad_h: 1 pad_w: 0 stride_h: 2 stride_w: 1 } }
layer { name: "kept" type: "Reshape" bottom: "c2" top: "kept" reshape_param { shape { dim: 0 dim: 0 dim: 0 dim: 3 } } }
layer { name: "padded" type: "Pooling" bottom: "kept" top: "padded"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 pad: 1 } }
layer { name: "flat" type: "Flatten" bottom: "padded" top: "flat" }
layer { name: "f" type: "InnerProduct" bottom: "flat" top: "f" inner_product_param { num_output: 3 bias_term: false } }
layer { name: "all" type: "Pooling" bottom: "c2" top: "all" pooling_param { pool: AVE global_pooling: true } }
layer { name: "g" type: "InnerProduct" bottom: "all" top: "g" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "f" bottom: "label" }
"""


def test_shapes_flow_through_every_kind_of_layer(tmp_path: Path) -> None:
    path = defined(tmp_path, RESIDUAL)
    c = (8,)
    assert blob_shapes(path) == {
        "c1": [(8, 3, 1, 7, 7)],
        "bn": [c, c, c, c],
        "norm": [c, c, (1,)],
        "scale": [c, c],
        "scale_only": [c],
        "slope": [c],
        # 16×7×7 pooled by 2×3×3 in steps of 2: 8×3×3, sixteen channels; then frames become the batch.
        "c2": [(5, 16, 3, 1), (5,)],
        # 5×2×3 pooled by 2×2 with padding 1: 2×2 (the last window of 3 + 2 wholly in the padding is dropped).
        "f": [(3, 5 * 2 * 2)],
        "g": [(2, 5), (2,)],
    }
    names = [layer.name for layer in defined_layers(read_prototxt(path))]
    assert {"train", "staged", "not"}.isdisjoint(names)


@pytest.mark.parametrize(("dims", "fits"), [(4, True), (5, True), (6, False)])
def test_old_input_dimensions(tmp_path: Path, dims: int, fits: bool) -> None:
    text = 'input: "data" ' + "input_dim: 2 " * dims
    text += 'layer { name: "f" type: "InnerProduct" bottom: "data" top: "f" inner_product_param { num_output: 3 } }'
    if fits:
        assert blob_shapes(defined(tmp_path, text)) == {"f": [(3, 2 ** (dims - 1)), (3,)]}
    else:
        with pytest.raises(InputDataError, match="6 input_dim for 1 inputs"):
            blob_shapes(defined(tmp_path, text))


INPUT = 'input: "data" input_shape { dim: 1 dim: 4 dim: 6 dim: 6 dim: 6 }\n'


def layer(kind: str, param: str = "", bottom: str = 'bottom: "data"') -> str:
    return f'layer {{ name: "it" type: "{kind}" {bottom} top: "it" {param} }}\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (layer("Convolution"), "layer it: it has 0 of convolution_param or convolution3d_param"),
        (layer("Convolution", "convolution_param { kernel_size: 3 }"), "its num_output is None"),
        (layer("Convolution", "convolution_param { num_output: 0 kernel_size: 3 }"), "its num_output is 0"),
        (layer("Convolution", "convolution_param { num_output: 2 }"), "it states no kernel"),
        (layer("Convolution3D", "convolution_param { num_output: 2 kernel_size: 3 }"), "no kernel along time"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: [3, 3, 3, 3] }"), "its kernel is"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 3 stride: 0 }"), "its stride is"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 3 pad: -1 }"), "its pad is"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 3 group: 3 }"), "into 3 groups"),
        (layer("Convolution", "convolution_param { num_output: 2 kernel_size: 9 }") + layer("ReLU", "", 'bottom: "it"'),
         r"its input has the shape \(1, 2, -2, -2, -2\)"),
        (layer("InnerProduct", "inner_product_param { num_output: 2 transpose: true }"), "not supported"),
        (layer("InnerProduct", "inner_product_param { num_output: 2 axis: 2 }"), "not supported"),
        (layer("Reshape", "reshape_param { shape { dim: 5 } }"), "cannot be reshaped"),
        (layer("Reshape", "reshape_param { shape { dim: [0, 0, 0, 0, 0, 0] } }"), "cannot be reshaped"),
        (layer("Concat", "concat_param { axis: 2 }"), "differ in more than channels"),
        (layer("Pooling", "pooling_param { global_pooling: true }") + layer("Eltwise", "", 'bottom: ["data", "it"]'),
         "its inputs have different shapes"),
        (layer("Warp"), "its type 'Warp' is not known"),
        (layer("ReLU", "", 'bottom: "none"'), "its input 'none' comes from nowhere"),
        (layer("ReLU", "", ""), "it has no input"),
        (layer("Data", "", ""), "the shape of the input 'it' is not known; give inputs="),
        (layer("PReLU") * 2, "a layer of this name was defined before"),
    ],
)  # fmt: skip
def test_a_definition_that_makes_no_sense_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputDataError, match=f"makes no sense.*{why}"):
        blob_shapes(defined(tmp_path, INPUT + text))


def test_weights_are_compared_with_a_definition(tmp_path: Path) -> None:
    expected = {"conv": [(2, 3, 1, 3), (2,)], "fc": [(4, 5), (4,)], "bn": [(3,)] * 4, "s": [(1,)]}

    def net(shapes: dict[str, list[tuple[int, ...]]]):
        layers = [(name, 14, [np.ones((1,) * (5 - len(s)) + s, "f4") for s in blobs]) for name, blobs in shapes.items()]
        return read_caffemodel(write(tmp_path / "net", caffemodel(layers, "V1", "c3d")))

    path = tmp_path / "net.prototxt"
    check_shapes(net({**expected, "bn": [(1, 3, 1, 1)] * 4}), expected, path)
    wrong: dict[str, list[tuple[int, ...]]] = {**expected, "conv": [(2, 3, 3, 1), (2,)], "more": [(1,)], "fc": [(4, 5)]}
    del wrong["s"]
    with pytest.raises(InputDataError) as caught:
        check_shapes(net(wrong), expected, path)
    for why in ("s is not in the weights", "more is not in the definition", "conv has blobs", "fc has blobs"):
        assert why in str(caught.value)
