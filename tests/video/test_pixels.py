"""Colors as PyAV converts them, the right way up."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from damage import FORMATS, encode, number_shown, numbered_frame

from tubelet.video.pixels import Orientation, RgbConverter
from tubelet.video.reader import Video

# A landscape picture with a red, a green, a blue and a gray quarter.
QUARTERS = np.zeros((64, 96, 3), np.uint8)
QUARTERS[:32, :48], QUARTERS[:32, 48:] = (220, 20, 20), (20, 220, 20)
QUARTERS[32:, :48], QUARTERS[32:, 48:] = (20, 20, 220), (128, 128, 128)


def corners(image):
    """Which of the four colors each corner shows: top left, top right, bottom left, bottom right."""
    height, width, _ = image.shape
    found = []
    for y in (height // 4, 3 * height // 4):
        for x in (width // 4, 3 * width // 4):
            pixel = image[y, x].astype(int)
            found.append("x" if np.ptp(pixel) < 40 else "rgb"[int(pixel.argmax())])
    return "".join(found)


@pytest.mark.parametrize(
    ("degrees", "mirrored", "expected"),
    [
        (0, False, "rgbx"),
        (90, False, "gxrb"),  # counter-clockwise: the right side comes to the top
        (180, False, "xbgr"),
        (270, False, "brxg"),
        (0, True, "grxb"),  # left and right changed
        (180, True, "bxrg"),  # up and down changed
    ],
)
def test_display_rotation(tmp_path, degrees, mirrored, expected):
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"threads": "1"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.set_display_rotation(degrees, hflip=mirrored)
        for k in range(20):
            frame = av.VideoFrame.from_ndarray(QUARTERS, format="rgb24")
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    size = (64, 96) if degrees in (90, 270) else (96, 64)
    video = Video(path)
    assert (video.width, video.height) == size
    image = video.frames([17])[0]
    assert image.shape == (size[1], size[0], 3)
    assert corners(image) == expected
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(next(video.iter_frames(17, 18)).image, image)
    report = video.check()
    assert (report.width, report.height) == size
    # The size is known from the table too, without decoding.
    again = Video(path)
    assert len(again) == 20
    assert (again.width, again.height) == size


def test_rotation_agrees_with_opencv(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = encode(tmp_path / "phone.mp4", FORMATS["mp4-h264-b"], 5, rotation=90, images=iter([QUARTERS] * 5))
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    found, image = capture.read()
    assert found
    np.testing.assert_array_equal(Video(path).frames([0])[0], image[:, :, ::-1])


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_colors_are_those_of_pyav(clip, name):
    path = clip(name)
    images = Video(path).frames(range(0, 50, 7))
    with av.open(str(path)) as container:
        reference = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::7]
    np.testing.assert_array_equal(images, reference)


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv420p10le", "gray"])
def test_other_pixel_formats(tmp_path, pixels):
    encoder = {"encoder": "mpeg4"} if pixels == "x" else {"encoder": "libx264"}
    form = FORMATS["mp4-h264-b"].__class__("x", ".mkv", pixel_format=pixels, **encoder)
    path = encode(tmp_path / "deep.mkv", form, 20)
    video = Video(path)
    assert [number_shown(image) for image in video.frames(range(20))] == list(range(20))
    assert video.check().status == "ok"


def test_odd_sizes_and_padded_rows(tmp_path):
    images = (np.full((34, 70, 3), 10 * k, np.uint8) for k in range(12))
    path = encode(tmp_path / "odd.mp4", FORMATS["mp4-h264-b"], 12, images=images)
    means = Video(path).frames(range(12)).mean((1, 2, 3))
    np.testing.assert_allclose(means, 10 * np.arange(12), atol=4)


def test_frames_of_another_size_are_scaled_and_reported(tmp_path):
    """An MPEG-TS whose picture size changes, as adaptive streams do."""
    path = tmp_path / "mixed.ts"
    small = encode(tmp_path / "a.ts", FORMATS["mpegts-h264"], 10)
    large = encode(
        tmp_path / "b.ts",
        FORMATS["mpegts-h264"],
        10,
        images=(numbered_frame(k).repeat(2, 0).repeat(2, 1) for k in range(10)),
    )
    path.write_bytes(small.read_bytes() + large.read_bytes())
    video = Video(path)
    report = video.check()
    assert report.status == "partial"
    assert any("another size" in problem for problem in report.problems)
    assert video.frames(range(len(video))).shape == (len(video), 64, 96, 3)


def test_orientation_values():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(Orientation().apply(image), image)
    np.testing.assert_array_equal(Orientation(1).apply(image), image.transpose(1, 0, 2)[::-1])
    np.testing.assert_array_equal(Orientation(0, True).apply(image), image[:, ::-1])
    assert RgbConverter(4, 2, Orientation(3)).shape == (4, 2, 3)
    assert Type.DISPLAYMATRIX is not None
