"""What is said of a file that has no known layout: the nearest ones, and what keeps it from having them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tubelet.errors import InputDataError
from tubelet.weights import convert
from tubelet.weights.nearest import nearest

sys.path.insert(0, str(Path(__file__).parent))
from test_maps_c3d import davidea, mmaction, stored, tensors


@pytest.fixture
def renamed() -> dict[str, Tensor]:
    """The port of C3D with a first layer of another name, which is what its layout is recognized by."""
    weights = davidea(tensors())
    return {name.replace("conv1.", "first."): tensor for name, tensor in weights.items()}


def test_the_nearest_come_first_and_say_what_does_not_fit(tmp_path: Path, renamed: dict[str, Tensor]) -> None:
    near = nearest(stored(tmp_path / "w", renamed))
    assert len(near) == 3
    # 20 of 22 names are those of the port; mmaction's share fc6 and fc7, Caffe's none.
    assert (near[0].layout.name, near[0].named, near[0].tensors) == ("c3d-torch-davidea", 20, 22)
    assert set(near[0].problems[:2]) == {f"first.{part} is refused: no rule names it" for part in ("weight", "bias")}
    assert "is refused: its shape is" in near[0].problems[2]  # a network of the full width is meant
    assert "conv1a.bias is missing" in near[0].problems
    assert str(near[0]).startswith("c3d-torch-davidea knows 20 of its 22 tensors, but first.")
    assert all(each.named < 20 for each in near[1:])
    assert near[1].layout.name.startswith("c3d-torch-mmaction")


def test_a_part_of_a_layout_is_nearer_than_a_few_common_names(tmp_path: Path) -> None:
    """fc.weight and fc.bias are in a dozen layouts; the convolutions decide."""
    weights = {name: tensor for name, tensor in mmaction(tensors(), True).items() if not name.startswith("conv1a")}
    near = nearest(stored(tmp_path / "w", weights | {"fc.weight": torch.ones(2, 2), "fc.bias": torch.ones(2)}))
    assert {each.layout.name for each in near[:2]} == {"c3d-torch-mmaction", "c3d-torch-mmaction-trunk"}


def test_only_layouts_of_the_model_that_is_asked_for(tmp_path: Path, renamed: dict[str, Tensor]) -> None:
    near = nearest(stored(tmp_path / "w", renamed), "c3d")
    assert {model for each in near for model in each.layout.models} == {"c3d"}
    assert nearest(stored(tmp_path / "v", {"x.y": torch.ones(1)})) == []


def test_convert_says_so_in_one_sentence(tmp_path: Path, renamed: dict[str, Tensor]) -> None:
    file = stored(tmp_path / "w", renamed).path
    with pytest.raises(InputDataError) as caught:
        convert(file, out=tmp_path / "out")
    said = str(caught.value)
    assert re.search(
        r"layout of the weights is not known.*nearest come: \(1\) c3d-torch-davidea knows 20 of its 22", said
    )
    assert re.search(r"--map c3d-torch-davidea on the command line.*tubelet models weights lists all layouts", said)
    assert "(3) " in said
    assert "(4) " not in said
    assert "p3d" not in said
    stranger = stored(tmp_path / "v", {"x.y": torch.ones(1)}).path
    with pytest.raises(InputDataError, match=r"no layout has a tensor of theirs, the first being x.y.*models weights"):
        convert(stranger, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
