"""What a network says of itself: the text that ``print`` and the command line share."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import pytest

from tubelet.models import ModelInfo, model_info

# Figure 3 of the C3D paper, at 101 classes: output, weights and biases, multiply-adds. Products written out.
C3D = {
    "conv1a": ("64×16×112×112", 64 * 3 * 27 + 64, 64 * 3 * 27 * 16 * 112 * 112),
    "conv2a": ("128×16×56×56", 128 * 64 * 27 + 128, 128 * 64 * 27 * 16 * 56 * 56),
    "conv3a": ("256×8×28×28", 256 * 128 * 27 + 256, 256 * 128 * 27 * 8 * 28 * 28),
    "conv5b": ("512×2×7×7", 512 * 512 * 27 + 512, 512 * 512 * 27 * 2 * 7 * 7),
    "fc6": ("4096", 8192 * 4096 + 4096, 8192 * 4096),
    "fc8": ("101", 4096 * 101 + 101, 4096 * 101),
    "total": ("", 78_409_573, 38_547_378_176),
}


def rows(info: ModelInfo) -> dict[str, list[str]]:
    """Lines of the table by their first column."""
    lines = str(info).split("\n\n")[1].splitlines()
    return {re.split(" {2,}", line)[0]: re.split(" {2,}", line) for line in lines}


def test_every_layer_has_a_row() -> None:
    info = model_info("c3d")
    found = rows(info)
    assert next(iter(found)) == "layer"
    assert len(found) == 1 + 11 + 1
    for name, (shape, parameters, macs) in C3D.items():
        assert found[name] == [name, *([shape] if shape else []), f"{parameters:,}", f"{macs:,}"]
    # Numbers end together.
    assert len({len(line) for line in str(info).split("\n\n")[1].splitlines()}) == 1


def test_the_text_tells_the_sources() -> None:
    text = str(model_info("res3d_18"))
    first, *lines = text.splitlines()
    assert first == "res3d_18  3×8×112×112 rgb  101 classes"
    assert "paper:   Du Tran, Jamie Ray, Zheng Shou, Shih-Fu Chang, Manohar Paluri (2017). ConvNet" in text
    assert "the paper prints parameters: 33.2 M" in lines
    assert "the paper prints multiply-adds: 19.3 G" in lines
    assert "reconstruction" not in text
    assert "recipe:  res3d" in lines
    assert max(map(len, lines)) <= 100
    assert "projection=False" in text
    assert " ".join(text.split()).endswith("res5b, pool5, fc, prob")


def test_a_reconstruction_says_so_with_its_choices() -> None:
    lines = str(model_info("squeezenet1_1", side=224)).splitlines()
    assert "network: a reconstruction from the sources below, with the choices below" in lines
    assert "choice:  conv10 is not rectified before its average, unlike the released network's." in lines
    assert "options: width=1.0, clip_length=1, side=224, dropout=0.5" in lines


def test_what_is_not_a_layers_has_rows_of_its_own() -> None:
    small = model_info("c3d_small")
    # Two numbers for each of 16, 32, 64, 64 and 64 channels.
    assert rows(small)["batch normalization"] == ["batch normalization", f"{2 * (16 + 32 + 64 + 64 + 64):,}"]
    composite = rows(model_info("lstm_composite"))
    parts = [row for name, row in composite.items() if name not in ("layer", "total")]
    told = sum(int(row[1 if row[0] == "not used for the logits" else 2].replace(",", "")) for row in parts)
    assert "not used for the logits" in composite
    assert f"{told:,}" == composite["total"][1]


def test_repr_and_values_stay() -> None:
    info = model_info("c3d_small", 7, width=0.125)
    assert repr(info).startswith("ModelInfo(name='c3d_small', num_classes=7, options={")
    assert asdict(info)["parameters"] == info.parameters
    assert (info.takes, info.cited) == ("3×16×56×56 rgb", "Tran 2015")


@pytest.mark.parametrize(("sees", "shown"), [((76, 150, 150), "76×150×150"), (None, "-")])
def test_a_network_without_maps_has_no_field(sees: tuple[int, int, int] | None, shown: str) -> None:
    info = replace(model_info("c3d_small"), receptive_field=sees)
    assert info.sees == shown
    assert ("one value of the last feature map sees" in str(info)) == (sees is not None)
