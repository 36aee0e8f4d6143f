"""Orders of samples: every sample or every class equally often, from the seed and the position alone."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.datasets.order import ClassUniform, Shuffled
from tubelet.provenance import derive_seed


def test_shuffled_is_a_permutation_an_epoch() -> None:
    order = Shuffled(7, seed=3)
    for epoch in range(4):
        drawn = [order(7 * epoch + place) for place in range(7)]
        assert {first for first, _ in drawn} == {epoch}
        # The order that every run before this class had: resumed runs depend on it.
        expected = np.random.default_rng(derive_seed(3, "order", epoch)).permutation(7)
        assert [sample for _, sample in drawn] == expected.tolist()


TARGETS = [0] * 9 + [2] * 1 + [5] * 4  # classes 1, 3 and 4 have no sample


def test_classes_come_equally_often_whatever_their_size() -> None:
    order = ClassUniform(TARGETS, seed=1)
    drawn = [order(position) for position in range(3 * 36)]  # 36 rounds of three classes
    assert Counter(TARGETS[sample] for _, sample in drawn) == {0: 36, 2: 36, 5: 36}
    for position in range(0, len(drawn), 3):
        assert {TARGETS[sample] for _, sample in drawn[position : position + 3]} == {0, 2, 5}
    # Within a class every sample once before any comes again.
    for target, members in ((0, range(9)), (2, [9]), (5, range(10, 14))):
        own = [pair for pair in drawn if TARGETS[pair[1]] == target]
        for k in range(0, len(own), len(members)):
            epoch = own[k : k + len(members)]
            assert sorted(sample for _, sample in epoch) == list(members)
            assert {first for first, _ in epoch} == {k // len(members)}


def test_two_streams_batch_of_256_over_101_classes() -> None:
    targets = np.repeat(np.arange(101), np.arange(3, 104))
    order = ClassUniform(targets, seed=0)
    for step in range(4):
        drawn = [order(256 * step + k)[1] for k in range(256)]
        counts = Counter(targets[drawn].tolist())
        assert len(counts) == 101
        assert max(counts.values()) - min(counts.values()) <= 2


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(0, 5), st.lists(st.integers(0, 200)))
def test_a_position_is_what_it_is_whatever_was_asked_before(targets: list[int], seed: int, asked: list[int]) -> None:
    for made in (lambda: ClassUniform(targets, seed), lambda: Shuffled(len(targets), seed)):
        used = made()
        assert [used(position) for position in asked] == [made()(position) for position in asked]


def test_pairs_never_come_again() -> None:
    for order in (ClassUniform(TARGETS, seed=1), Shuffled(14, seed=1)):
        drawn = [order(position) for position in range(300)]
        assert len(set(drawn)) == len(drawn), "each (epoch, sample) seeds a clip of its own"


def test_classes_and_members_are_shuffled() -> None:
    order = ClassUniform(TARGETS, seed=1)
    rounds = [tuple(TARGETS[order(3 * k + place)[1]] for place in range(3)) for k in range(600)]
    counts = Counter(rounds)
    assert len(counts) == 6
    # Chi square with 5 degrees of freedom is above 20.5 once in a thousand.
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 20.5
    firsts = Counter(next(s for k in range(3) if (s := order(27 * e + k)[1]) < 9) for e in range(300))
    assert len(firsts) == 9
    assert min(firsts.values()) > 10
    other = ClassUniform(TARGETS, seed=2)
    assert [order(k) for k in range(20)] != [other(k) for k in range(20)]


@pytest.mark.parametrize("targets", [[3], [1, 1, 1]])
def test_a_single_class(targets: list[int]) -> None:
    order = ClassUniform(targets, seed=0)
    assert sorted(order(k)[1] for k in range(len(targets))) == list(range(len(targets)))
