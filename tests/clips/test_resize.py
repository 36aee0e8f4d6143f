"""The resize against OpenCV, against its own formula in float64, and its manners with memory."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.profiler import ProfilerActivity, profile

from tubelet.clips.resize import as_tensor, resize, resize_field
from tubelet.errors import UsageError

DATA = Path(os.environ.get("TUBELET_DATA", Path(__file__).parents[3] / "shared" / "data"))


def opencv(frames: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    size = (size_hw[1], size_hw[0])
    scaled = [cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR) for frame in frames]
    return np.stack(scaled).reshape(len(frames), *size_hw, 3)


def exact(frames: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Bilinear with half-pixel centers, in float64, written from the formula."""

    def weights(n_out: int, n_in: int) -> np.ndarray:
        where = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
        low = np.floor(where).astype(int)
        high = np.minimum(low + 1, n_in - 1)
        matrix = np.zeros((n_out, n_in))
        np.add.at(matrix, (np.arange(n_out), low), 1 - (where - low))
        np.add.at(matrix, (np.arange(n_out), high), where - low)
        return matrix

    down, across = weights(size_hw[0], frames.shape[1]), weights(size_hw[1], frames.shape[2])
    return np.einsum("yh,thwc,xw->tyxc", down, frames.astype(float), across, optimize=True)


def levels_apart(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def noise(shape: tuple[int, ...], seed: int = 0, kind: str = "noise") -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "black and white":
        return rng.integers(0, 2, shape, dtype=np.uint8) * np.uint8(255)
    return rng.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("from_hw", "to_hw"),
    [
        ((1080, 1920), (128, 171)),
        ((2160, 3840), (56, 56)),
        ((240, 320), (128, 171)),
        ((240, 320), (120, 160)),  # OpenCV turns an exact half into another algorithm
        ((240, 320), (56, 56)),
        ((144, 180), (128, 171)),
        ((144, 180), (56, 56)),
        ((56, 56), (128, 171)),
        ((90, 160), (1080, 1920)),
        ((113, 67), (59, 131)),
        ((1, 1), (128, 171)),
        ((1, 640), (7, 9)),
        ((480, 1), (128, 171)),
        ((240, 320), (1, 1)),
        ((1080, 1920), (1079, 1921)),
    ],
)
@pytest.mark.parametrize("kind", ["noise", "black and white"])
def test_it_is_opencv_to_one_gray_level(from_hw: tuple[int, int], to_hw: tuple[int, int], kind: str) -> None:
    frames = noise((2, *from_hw, 3), kind=kind)
    scaled = resize(frames, to_hw)
    assert scaled.shape == (2, *to_hw, 3)
    assert scaled.dtype == np.uint8
    assert levels_apart(scaled, opencv(frames, to_hw)) <= 1


SIDE = st.integers(1, 90)


@settings(max_examples=250)
@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 2**32 - 1), st.sampled_from(["noise", "black and white"]))
def test_it_is_opencv_and_its_formula_at_any_size(
    height: int, width: int, to_height: int, to_width: int, seed: int, kind: str
) -> None:
    frames = noise((1, height, width, 3), seed, kind)
    scaled = resize(frames, (to_height, to_width))
    assert levels_apart(scaled, opencv(frames, (to_height, to_width))) <= 1
    # Two roundings, one after each axis, are at most half a level each; the rest is 14-bit weights.
    assert np.abs(scaled - exact(frames, (to_height, to_width))).max() <= 1.1


@pytest.mark.parametrize("to_hw", [(128, 171), (56, 56), (64, 86), (257, 431)])
def test_real_frames(to_hw: tuple[int, int]) -> None:
    files = sorted(DATA.glob("ucf101/frames_5fps/*/*/00001.jpg"))[::9]
    if not files:
        pytest.skip(f"no real frames in {DATA}")
    for file in files:
        frame = cv2.imread(str(file))[None]
        assert levels_apart(resize(frame, to_hw), opencv(frame, to_hw)) <= 1


def test_frames_of_the_size_are_returned_as_they_are() -> None:
    frames = noise((2, 12, 15, 3))
    assert resize(frames, (12, 15)) is frames
    tensor = torch.from_numpy(frames)
    assert resize(tensor, (12, 15)) is tensor


def test_a_constant_stays_constant() -> None:
    for level in (0, 1, 127, 254, 255):
        frames = np.full((1, 37, 53, 3), level, np.uint8)
        assert (resize(frames, (128, 171)) == level).all()
        assert (resize(frames, (5, 4)) == level).all()


def test_memory_layouts_give_the_same_pixels() -> None:
    frames = noise((4, 40, 50, 3))
    scaled = resize(frames, (16, 21))
    assert scaled.flags.c_contiguous
    read_only = np.frombuffer(frames.tobytes(), np.uint8).reshape(frames.shape)
    wide = np.zeros((8, 44, 60, 3), np.uint8)
    wide[::2, 2:42, 7:57] = frames
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (resize(read_only, (16, 21)) == scaled).all()
    assert (resize(wide[::2, 2:42, 7:57], (16, 21)) == scaled).all()
    assert (resize(frames[::-1], (16, 21)) == scaled[::-1]).all()
    assert (resize(frames[..., ::-1], (16, 21)) == scaled[..., ::-1]).all()
    assert (resize(np.asfortranarray(frames), (16, 21)) == scaled).all()
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    for tensor in (torch.from_numpy(frames), torch.from_numpy(wide)[::2, 2:42, 7:57], planes):
        result = resize(tensor, (16, 21))
        assert isinstance(result, torch.Tensor)
        assert result.is_contiguous()
        assert (result.numpy() == scaled).all()
    assert resize(frames[:0], (16, 21)).shape == (0, 16, 21, 3)
    assert resize(torch.from_numpy(frames)[::2][:0], (16, 21)).shape == (0, 16, 21, 3)


def test_input_is_not_written_to() -> None:
    frames = noise((2, 40, 50, 3))
    before = frames.copy()
    resize(frames, (16, 21))
    assert (frames == before).all()


def test_big_frames_are_neither_copied_nor_widened() -> None:
    frames = torch.zeros((4, 1080, 1920, 3), dtype=torch.uint8)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        resize(frames, (128, 171))
    allocated = sum(max(event.self_cpu_memory_usage, 0) for event in measured.events())
    one_frame = 1080 * 1920 * 3
    assert 0 < allocated < one_frame, "a copy of the four frames would be 4, a float copy 16"


@pytest.mark.slow
def test_processors_without_vector_units_give_the_same_bytes() -> None:
    program = (
        "import hashlib, numpy as np, torch; from tubelet.clips.resize import resize\n"
        "x = np.random.default_rng(0).integers(0, 256, (2, 90, 160, 3), dtype=np.uint8)\n"
        "sizes = [(128, 171), (56, 56), (7, 5)]\n"
        "all = b''.join(resize(x, size).tobytes() for size in sizes)\n"
        "print(torch.backends.cpu.get_cpu_capability(), hashlib.sha256(all).hexdigest())"
    )
    outputs = []
    for capability in ("default", ""):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        if capability:
            environment["ATEN_CPU_CAPABILITY"] = capability
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        outputs.append(done.stdout.split())
    assert outputs[0][0] == "DEFAULT"
    assert outputs[0][1] == outputs[1][1]


@pytest.mark.parametrize(
    ("frames", "size_hw", "says"),
    [
        (np.zeros((40, 50, 3), np.uint8), (16, 21), "(T, H, W, 3)"),
        (np.zeros((2, 3, 40, 50), np.uint8), (16, 21), "(T, H, W, 3)"),
        (np.zeros((2, 0, 50, 3), np.uint8), (16, 21), "(T, H, W, 3)"),
        (np.zeros((2, 40, 50, 3), np.float32), (16, 21), "uint8"),
        (torch.zeros((2, 40, 50, 3)), (16, 21), "uint8"),
        (torch.zeros((2, 40, 50, 3), dtype=torch.uint8, device="meta"), (16, 21), ".cpu()"),
        (np.zeros((2, 40, 50, 3), np.uint8), (0, 21), "at least 1"),
        (np.zeros((2, 40, 50, 3), np.uint8), (16, -1), "at least 1"),
    ],
)
def test_refusals(frames: np.ndarray, size_hw: tuple[int, int], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        resize(frames, size_hw)
    assert says in str(caught.value)


@settings(max_examples=60)
@given(SIDE, SIDE, SIDE, SIDE, st.integers(1, 5))
def test_fields_of_floats_are_opencv_and_the_formula(
    height: int, width: int, to_height: int, to_width: int, channels: int
) -> None:
    field = np.random.default_rng(height).normal(0, 20, (2, height, width, channels)).astype(np.float32)
    scaled = resize_field(field, (to_height, to_width))
    assert scaled.dtype == np.float32
    assert np.abs(scaled - exact(field, (to_height, to_width))).max() < 1e-3
    # OpenCV's own positions are floats too: a large field is off by 1e-5 pixels times its steepest step.
    one = cv2.resize(field[1], (to_width, to_height), interpolation=cv2.INTER_LINEAR).reshape(scaled.shape[1:])
    assert np.abs(scaled[1] - one).max() < 5e-3


def test_fields_of_levels_are_resized_as_frames_are() -> None:
    frames = noise((2, 40, 50, 3))
    assert (resize_field(frames, (16, 21)) == resize(frames, (16, 21))).all()
    assert levels_apart(resize_field(frames[..., :2], (16, 21)), resize(frames, (16, 21))[..., :2]) <= 1
    mirrored = frames[:, :, ::-1].astype(np.float32)
    assert (resize_field(mirrored, (80, 100)) == resize_field(mirrored.copy(), (80, 100))).all()
    assert resize_field(mirrored, (40, 50)) is mirrored


@pytest.mark.parametrize(
    ("field", "size_hw", "says"),
    [
        (np.zeros((40, 50, 2), np.float32), (16, 21), "(T, H, W, C)"),
        (np.zeros((2, 0, 50, 2), np.float32), (16, 21), "(T, H, W, C)"),
        (np.zeros((2, 40, 50, 2), np.float64), (16, 21), "float32"),
        (np.zeros((2, 40, 50, 2), np.float32), (16, 0), "at least 1"),
    ],
)
def test_refused_fields(field: np.ndarray, size_hw: tuple[int, int], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        resize_field(field, size_hw)
    assert says in str(caught.value)


def test_as_tensor_shares_memory() -> None:
    array = np.arange(12.0)
    array.flags.writeable = False
    tensor = as_tensor(array)
    assert tensor.data_ptr() == array.__array_interface__["data"][0]
    pointer = tensor.numpy()
    del array
    assert (pointer == np.arange(12.0)).all(), "the memory lives as long as the tensor"
    assert (as_tensor(np.arange(3)[::-1]).numpy() == [2, 1, 0]).all()
