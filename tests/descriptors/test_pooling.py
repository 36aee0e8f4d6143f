"""Vectors of clips and of videos, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.descriptors.pooling import GroupedMeans, clip_vectors, l2_normalize, video_vector


def test_pool5_is_flattened_in_the_order_channel_time_row_column() -> None:
    # As in Caffe, whose fc6 reads the map in this order; channels-last memory must not change it.
    maps = torch.arange(2 * 3 * 2 * 2 * 2, dtype=torch.float32).reshape(2, 3, 2, 2, 2)
    vectors = clip_vectors("pool5", maps.contiguous(memory_format=torch.channels_last_3d))
    assert vectors[0].tolist() == list(range(24))
    assert vectors[1].tolist() == list(range(24, 48))


def test_c3d_pool5_has_the_papers_length() -> None:
    assert clip_vectors("pool5", torch.zeros(1, 512, 1, 4, 4)).shape == (1, 8192)


@pytest.mark.parametrize("layer", ["conv1a", "conv5b", "pool1", "pool4"])
def test_other_maps_are_averaged_over_time_and_space(layer: str) -> None:
    maps = torch.rand(2, 3, 4, 5, 6)
    vectors = clip_vectors(layer, maps)
    for n in range(2):
        for c in range(3):
            values = maps[n, c].flatten().tolist()
            assert vectors[n, c].item() == pytest.approx(math.fsum(values) / 120, rel=1e-5)


def test_bfloat16_maps_are_averaged_in_float32() -> None:
    # 1 + 255/256 is not a bfloat16; a running sum in bfloat16 would stall long before 4,096 ones.
    maps = torch.ones(1, 1, 16, 16, 16, dtype=torch.bfloat16)
    assert clip_vectors("conv3a", maps).dtype == torch.float32
    assert clip_vectors("conv3a", maps).item() == 1.0


def test_fully_connected_layers_stay() -> None:
    values = torch.rand(3, 7)
    assert torch.equal(clip_vectors("fc6", values), values)


def test_video_vector_is_mean_then_l2() -> None:
    clips = np.array([[1, 0, 2], [3, 0, 0]], dtype=np.float32)  # mean (2, 0, 1), length sqrt 5
    expected = [2 / math.sqrt(5), 0, 1 / math.sqrt(5)]
    assert video_vector(clips) == pytest.approx(expected, rel=1e-6)
    assert video_vector(clips).dtype == np.float32


def test_not_l2_then_mean() -> None:
    clips = np.array([[10, 0], [0, 1]], dtype=np.float32)
    assert video_vector(clips)[0] == pytest.approx(10 / math.sqrt(101), rel=1e-6)


def test_zeros_have_no_direction() -> None:
    assert l2_normalize(np.zeros((2, 3), dtype=np.float32)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_huge_and_tiny_vectors_keep_their_direction() -> None:
    # Squares of these overflow or vanish in float32.
    for scale in (1e30, 1e-30):
        vector = np.array([3 * scale, 4 * scale], dtype=np.float32)
        assert l2_normalize(vector) == pytest.approx([0.6, 0.8], rel=1e-5)


@pytest.mark.parametrize("shape", [(0, 3), (3,)])
def test_a_video_without_clips_has_no_vector(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="n_clips"):
        video_vector(np.zeros(shape, dtype=np.float32))


@settings(max_examples=50)
@given(
    groups=st.lists(st.integers(0, 3), min_size=1, max_size=30),
    cut=st.integers(0, 30),
    seed=st.integers(0, 99),
)
def test_grouped_means_do_not_depend_on_how_rows_arrive(groups: list[int], cut: int, seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal((len(groups), 3)).astype(np.float32)
    means = GroupedMeans(4, 3)
    means.add(groups[:cut], rows[:cut])
    means.add(groups[cut:], rows[cut:])
    for group in range(4):
        mine = [row for row, other in zip(rows.tolist(), groups, strict=True) if other == group]
        assert means.counts[group] == len(mine)
        expected = [math.fsum(column) / len(mine) for column in zip(*mine, strict=True)] if mine else [0, 0, 0]
        assert means.means()[group] == pytest.approx(expected, abs=1e-12)
