"""Hashes of pictures and changes: against SciPy's transform, and by what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn

from tubelet.clips import frame_hash
from tubelet.clips.frame_hash import CERTAIN, CHANGE, CLEAR, MIRROR, PICTURE, STEP_S, BlockMeans, hashes


def moving(n: int = 12, seed: int = 0) -> np.ndarray:
    """(n, 64, 64) uint8: coarse noise that changes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 220, (n, 16, 16))
    return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)


def bits_of(value: np.uint64) -> list[int]:
    return [int(value) >> k & 1 for k in range(64)]


def test_frequencies_are_a_quarter_of_the_lowest_16_by_16() -> None:
    pairs = list(zip(frame_hash._ROWS.tolist(), frame_hash._COLUMNS.tolist(), strict=True))
    assert len(set(pairs)) == 63
    assert all(0 <= i < 16 and 0 <= j < 16 and (i - j) % 4 == 2 for i, j in pairs)
    sums = [i + j for i, j in pairs]
    for word in range(4):  # every word has low frequencies and high ones
        assert min(sums[16 * word : 16 * word + 16]) <= 4
        assert max(sums[16 * word : 16 * word + 16]) >= 24


def test_signs_are_those_of_scipys_transform() -> None:
    blocks = moving()
    points = blocks.reshape(12, 32, 2, 32, 2).mean(axis=(2, 4))  # float64; 64 to 32 is a mean of two by two
    spectra = np.array([dctn(picture, norm="ortho") for picture in points])[:, frame_hash._ROWS, frame_hash._COLUMNS]
    found = hashes(blocks)
    assert found.shape == (12, 4)
    assert found.dtype == np.uint64
    for k in range(11):
        smooth = (spectra[k] + spectra[k + 1]) / 2
        clear = np.abs(smooth) > 0.01
        bits = np.array(bits_of(found[k, PICTURE])[:63])
        np.testing.assert_array_equal(bits[clear], (smooth > 0)[clear])
        np.testing.assert_array_equal(np.array(bits_of(found[k, CLEAR])[:63]), np.abs(smooth) >= 2)
    for k in range(1, 10):  # the mean of the eighth behind less that of the eighth before
        change = (spectra[k + 1] + spectra[k + 2] - spectra[k - 1] - spectra[k]) / 2
        clear = np.abs(change) > 0.01
        bits = np.array(bits_of(found[k, CHANGE])[:63])
        np.testing.assert_array_equal(bits[clear], (change > 0)[clear])
        certain = np.array(bits_of(found[k, CERTAIN])[:63])
        ratio = np.abs(change) / np.median(np.abs(change))
        np.testing.assert_array_equal(certain[np.abs(ratio - 0.5) > 1e-3], (ratio >= 0.5)[np.abs(ratio - 0.5) > 1e-3])
    assert not found[[0, 10, 11], CHANGE].any(), "there is nothing before, or behind, to tell a change"


def test_long_videos_are_worked_on_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = moving(50)
    whole = hashes(blocks)
    monkeypatch.setattr(frame_hash, "_CHUNK", 7)
    np.testing.assert_array_equal(hashes(blocks), whole)


def test_a_mirrored_picture_turns_the_odd_frequencies_around() -> None:
    blocks = moving()
    plain, turned = hashes(blocks), hashes(blocks[:, :, ::-1])
    np.testing.assert_array_equal(plain[:-1, PICTURE] ^ MIRROR, turned[:-1, PICTURE])
    certain = plain[1:-2, CERTAIN]
    np.testing.assert_array_equal((plain[1:-2, CHANGE] ^ MIRROR) & certain, turned[1:-2, CHANGE] & certain)


@pytest.mark.parametrize("level", [0, 16, 128, 255])
def test_what_shows_nothing_says_nothing(level: int) -> None:
    flat = np.full((20, 64, 64), level, np.uint8)
    assert not hashes(flat).any()
    noise = flat // 2 + np.random.default_rng(0).integers(0, 2, flat.shape, np.uint8)
    assert not hashes(noise)[:, PICTURE].any()
    assert hashes(flat[:0]).shape == (0, 4)


def test_a_still_has_a_picture_and_no_change() -> None:
    still = moving(1).repeat(20, axis=0)
    found = hashes(still)
    assert len(set(found[:, PICTURE].tolist())) == 1
    assert found[0, PICTURE] != 0
    assert not found[:, [CHANGE, CERTAIN]].any()


def test_light_and_contrast_leave_the_signs() -> None:
    blocks = moving()
    darker = (blocks // 2 + 60).astype(np.uint8)
    plain, changed = hashes(blocks), hashes(darker)
    for column, certain in ((PICTURE, CLEAR), (CHANGE, CERTAIN)):
        assert not ((plain ^ changed)[:, column] & plain[:, certain] & changed[:, certain]).any()


def test_frames_count_for_as_long_as_they_are_shown() -> None:
    means = BlockMeans()
    for level in (10, 50, 90):
        means.add(np.full((48, 80, 3), level, np.uint8), 0.04)
    blocks = means.finish()
    # 0.0625 s: 0.04 s of 10, then 0.0225 s of 50. The next: 0.0175 s of 50, 0.04 s of 90, and no more: 0.0575 s.
    assert len(blocks) == 2
    assert (blocks[0] == round((0.04 * 10 + 0.0225 * 50) / 0.0625)).all()
    assert (blocks[1] == round((0.0175 * 50 + 0.04 * 90) / 0.0575)).all()


def test_the_rest_of_a_video_counts_from_half_a_step_on() -> None:
    for seconds, wanted in ((0.01, 1), (STEP_S * 1.3, 1), (STEP_S * 1.6, 2), (1.0, 16)):
        means = BlockMeans()
        means.add(np.zeros((8, 8, 3), np.uint8), seconds)
        assert len(means.finish()) == wanted
    assert BlockMeans().finish().shape == (0, 64, 64)


def test_blocks_are_means_of_areas_at_any_size() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (128, 192, 3), np.uint8)
    means = BlockMeans()
    means.add(image, STEP_S)
    wanted = image[:, :, 1].reshape(64, 2, 64, 3).mean(axis=(1, 3))
    assert np.abs(means.finish()[0] - wanted).max() <= 0.51
    # Of large frames only some pixels are looked at: the means of a smooth picture stay.
    y, x = np.mgrid[:1080, :1920]
    smooth = (127 + 100 * np.sin(y / 200) * np.cos(x / 300)).astype(np.uint8)
    large = BlockMeans()
    large.add(np.repeat(smooth[..., None], 3, axis=2), STEP_S)
    edges_y, edges_x = np.linspace(0, 1080, 65), np.linspace(0, 1920, 65)
    block = smooth[int(edges_y[20]) : int(edges_y[21]), int(edges_x[30]) : int(edges_x[31])]
    assert abs(float(large.finish()[0, 20, 30]) - block.mean()) <= 2


def test_black_bars_are_cut_off_and_a_night_is_not() -> None:
    assert frame_hash._inside(np.full(64, 200, np.uint8)) == (0, 64)
    boxed = np.full(64, 200, np.uint8)
    boxed[:9] = boxed[-9:] = 16
    assert frame_hash._inside(boxed) == (10, 54), "with the rows of blocks at the edges, which are half a bar"
    lopsided = np.full(64, 200, np.uint8)
    lopsided[:9] = 0
    assert frame_hash._inside(lopsided) == (0, 64), "bars lie on both sides"
    assert frame_hash._inside(np.zeros(64, np.uint8)) == (0, 64)
    night = np.zeros(64, np.uint8)
    night[30:34] = 90
    assert frame_hash._inside(night) == (0, 64)
