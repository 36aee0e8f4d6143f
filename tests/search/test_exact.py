"""Exact search, against plain loops."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tubelet.descriptors.writer import TableWriter
from tubelet.errors import InputDataError, UsageError
from tubelet.search import exact as exact_module
from tubelet.search.exact import ExactIndex

sys.path.insert(0, str(Path(__file__).parents[1] / "descriptors"))
from made_rows import DIMENSIONS, finished, made_vectors


def index_of(vectors: np.ndarray, clips_per_video: int = 3) -> ExactIndex:
    """Clips of 1 s, every 0.5 s."""
    n = len(vectors)
    clip = np.arange(n) % clips_per_video
    names = [f"v{row // clips_per_video}" for row in range(n)]
    return ExactIndex(vectors.copy(), names, [f"/data/{name}" for name in names], clip / 2, clip / 2 + 1, clip)


def cosine(a: list[float], b: list[float]) -> float:
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    return dot / lengths if lengths else 0.0


@settings(max_examples=60)
@given(n=st.integers(1, 40), q=st.integers(1, 5), k=st.integers(1, 12), seed=st.integers(0, 999))
def test_hits_are_those_of_a_plain_loop(n: int, q: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, 6)).astype(np.float32)
    vectors[n // 2 :] *= 100  # lengths do not count
    queries = rng.standard_normal((q, 6)).astype(np.float32)
    for query, hits in zip(queries.tolist(), index_of(vectors).search(queries, k), strict=True):
        scores = [cosine(query, row) for row in vectors.tolist()]
        order = sorted(range(n), key=lambda row: -scores[row])[:k]
        assert [hit.score for hit in hits] == pytest.approx([scores[row] for row in order], abs=1e-6)
        assert [hit.rank for hit in hits] == list(range(1, min(n, k) + 1))
        for hit, row in zip(hits, order, strict=True):
            if abs(scores[row] - hit.score) < 1e-9:
                assert (hit.video_id, hit.clip_index) == (f"v{row // 3}", row % 3)
                assert (hit.start_s, hit.end_s) == ((row % 3) / 2, (row % 3) / 2 + 1)


@settings(max_examples=30)
@given(n=st.integers(2, 60), k=st.integers(1, 20), rows=st.integers(1, 17), seed=st.integers(0, 99))
def test_equal_vectors_come_in_the_order_of_rows(n: int, k: int, rows: int, seed: int) -> None:
    # Few distinct vectors, many copies: matrix products may score copies differently by where they stand.
    rng = np.random.default_rng(seed)
    kinds = rng.standard_normal((3, 33)).astype(np.float32)
    choice = rng.integers(0, 3, n)
    index = index_of(kinds[choice], 1)
    before, exact_module._ROWS = exact_module._ROWS, rows
    try:
        hits = index.search(kinds[0], k)[0]
    finally:
        exact_module._ROWS = before
    scores = {kind: cosine(kinds[0].tolist(), kinds[kind].tolist()) for kind in range(3)}
    order = sorted(range(n), key=lambda row: (-scores[int(choice[row])], row))[:k]
    assert [int(hit.video_id[1:]) for hit in hits] == order


def test_blocks_of_rows_and_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    vectors, queries = rng.random((50, 8), dtype=np.float32), rng.random((7, 8), dtype=np.float32)
    whole = index_of(vectors).search(queries, 5)
    monkeypatch.setattr(exact_module, "_ROWS", 7)
    monkeypatch.setattr(exact_module, "_QUERIES", 2)
    assert index_of(vectors).search(queries, 5) == whole


def test_the_query_itself_can_be_left_out() -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((9, 5)).astype(np.float32)
    index = index_of(vectors)
    assert [hits[0].video_id for hits in index.search(vectors[[0, 4]], 1)] == ["v0", "v1"]
    by_video, by_clip, not_at_all = index.search(vectors[[4, 4, 4]], 9, exclude=["v1", ("v1", 1), None])
    assert {hit.video_id for hit in by_video} == {"v0", "v2"}
    assert len(by_clip) == 8
    assert ("v1", 1) not in {(hit.video_id, hit.clip_index) for hit in by_clip}
    assert not_at_all[0].score == pytest.approx(1.0)
    assert index.search(vectors[0], 5, exclude=["unknown"])[0][0].video_id == "v0"


def test_overlapping_clips_of_one_moment_are_one_hit() -> None:
    # One video, clips of 1 s every 0.5 s: of clips 0 to 5 each overlaps its neighbors, but not the next but one.
    angles = np.array([0.00, 0.01, 0.02, 0.50, 0.30, 0.60])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    index = index_of(vectors, 6)
    plain = index.search(np.array([1.0, 0.0]), 6)[0]
    merged = index.search(np.array([1.0, 0.0]), 6, merge=True)[0]
    assert [hit.clip_index for hit in plain] == [0, 1, 2, 4, 3, 5]
    assert [hit.clip_index for hit in merged] == [0, 2, 4]
    assert [hit.rank for hit in merged] == [1, 2, 3]


def test_merging_looks_further_down_until_there_are_enough() -> None:
    # The 20 nearest clips are one moment of one video; the second hit is far down.
    vectors = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (21, 1))
    vectors[20] = [0.0, 1.0]
    index = ExactIndex(vectors, ["a"] * 20 + ["b"], ["/a"] * 20 + ["/b"], [0.0] * 21, [1.0] * 21, list(range(21)))
    hits = index.search(np.array([1.0, 0.1]), 2, merge=True)[0]
    assert [hit.video_id for hit in hits] == ["a", "b"]


def test_zero_vectors_score_zero() -> None:
    hits = index_of(np.zeros((2, 3), dtype=np.float32)).search(np.ones(3), 2)[0]
    assert [hit.score for hit in hits] == [0.0, 0.0]


def test_everything_excluded_is_no_hit() -> None:
    assert index_of(np.ones((3, 2), dtype=np.float32)).search(np.ones(2), 3, exclude=["v0"]) == [[]]


def test_an_empty_index_has_no_hits() -> None:
    assert index_of(np.zeros((0, 2), dtype=np.float32)).search(np.ones(2)) == [[]]


def test_what_does_not_fit_is_a_usage_error() -> None:
    index = index_of(np.ones((3, 2), dtype=np.float32))
    with pytest.raises(UsageError, match="do not fit vectors of 2 values"):
        index.search(np.ones(3))
    with pytest.raises(UsageError, match="k must be at least 1"):
        index.search(np.ones(2), 0)
    with pytest.raises(UsageError, match="1 queries but 2 exclusions"):
        index.search(np.ones(2), exclude=["a", "b"])


def test_a_table_is_searched_by_clip_or_by_video(tmp_path: Path) -> None:
    with TableWriter(tmp_path, DIMENSIONS) as writer:
        writer.commit([finished("walk/a", 3), finished("run/b", 2)])
    clips = ExactIndex.from_table(tmp_path)
    assert len(clips) == 5
    (hit,) = clips.search(made_vectors("run/b", 2, "w1")["fc6"][1], 1)[0]
    assert (hit.video_id, hit.path, hit.start_s, hit.end_s, hit.clip_index) == ("run/b", "/data/run/b", 0.32, 0.96, 1)
    assert hit.score == pytest.approx(1.0)
    videos = ExactIndex.from_table(tmp_path, level="video")
    (hit,) = videos.search(made_vectors("walk/a", 3, "w1")["fc6"].mean(axis=0), 1)[0]
    assert (hit.video_id, hit.start_s, hit.end_s, hit.clip_index) == ("walk/a", 0.0, 1.28, None)
    assert hit.to_dict()["rank"] == 1
    with pytest.raises(UsageError, match="no level"):
        ExactIndex.from_table(tmp_path, level="frame")  # type: ignore[arg-type]
    with pytest.raises(InputDataError, match="no descriptor table"):
        ExactIndex.from_table(tmp_path / "absent")
