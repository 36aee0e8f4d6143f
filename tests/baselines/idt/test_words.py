"""Histograms of words, counted by hand and by loops."""

from __future__ import annotations

import numpy as np
import pytest

from tubelet.baselines.idt.words import Codebooks, WordsSettings, distinct_words, learn_words, nearest_words
from tubelet.errors import UsageError


def test_a_video_is_counted_by_hand() -> None:
    books = Codebooks({"hog": np.array([[0, 0], [10, 0]], np.float32), "hof": np.array([[1], [2], [3]], np.float32)})
    video = {"hog": np.array([[1, 1], [9, 0], [11, 0], [8, 8]]), "hof": np.array([[2.1], [2.2], [0.0], [9.0]])}
    assert books.size == 5
    assert books.histogram(video).tolist() == [0.25, 0.75, 0.25, 0.5, 0.25]


def test_a_video_without_trajectories_is_zeros() -> None:
    books = Codebooks({"hog": np.eye(3, dtype=np.float32)})
    assert books.histogram({"hog": np.zeros((0, 3))}).tolist() == [0, 0, 0]


def test_the_nearest_word_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    values, words = rng.random((300, 12)), rng.random((40, 12)).astype(np.float32)
    expected = [min(range(40), key=lambda k: float(((value - words[k]) ** 2).sum())) for value in values]
    assert nearest_words(values, words).tolist() == expected


def test_many_rows_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    values, words = rng.random((101, 4)), rng.random((7, 4)).astype(np.float32)
    whole = nearest_words(values, words)
    monkeypatch.setattr("tubelet.baselines.idt.words._BLOCK", 70)
    assert nearest_words(values, words).tolist() == whole.tolist()


def test_words_are_the_middles_of_what_lies_together() -> None:
    rng = np.random.default_rng(2)
    middles = np.array([[0.0, 0], [5, 5], [-5, 5]])
    samples = np.concatenate([middle + 0.1 * rng.standard_normal((200, 2)) for middle in middles])
    words = learn_words({"hog": samples}, WordsSettings(words=3, seed=1)).words["hog"]
    order = np.lexsort(words.T[::-1])
    np.testing.assert_allclose(words[order], middles[np.lexsort(middles.T[::-1])], atol=0.05)


def test_words_do_not_change_with_the_same_seed() -> None:
    samples = {"hog": np.random.default_rng(3).random((500, 6))}
    first, again, other = (
        learn_words(samples, WordsSettings(words=20, sample=300, seed=seed)).words["hog"] for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert not (first == other).all()


@pytest.mark.filterwarnings("error")
def test_words_beyond_the_different_trajectories_repeat_the_others() -> None:
    different = np.random.default_rng(4).random((20, 6)).astype(np.float32)
    words = learn_words({"hog": np.repeat(different, 10, axis=0)}, WordsSettings(words=50)).words["hog"]
    assert (len(words), distinct_words(words)) == (50, 20)
    found = nearest_words(different, words)
    assert len(set(found.tolist())) == 20
    np.testing.assert_array_equal(words[found], different)


def test_too_few_trajectories_are_refused() -> None:
    with pytest.raises(UsageError, match="5000 words cannot be learned from 10"):
        learn_words({"hog": np.zeros((10, 3))}, WordsSettings())
    with pytest.raises(UsageError, match="words = 0"):
        WordsSettings(words=0)


def test_the_papers_vector_has_25000_numbers() -> None:
    books = Codebooks({name: np.zeros((5000, 2), np.float32) for name in ("shape", "hog", "hof", "mbhx", "mbhy")})
    assert books.size == 25_000
