"""Ten lines of Python, as in the README: a video becomes clips with times, and clips become a descriptor."""

import sys

from tubelet import Extractor, Video, create_model

video = Video(sys.argv[1])  # a file, or a folder of JPEG frames
print(len(video), video.fps, video.times[-1])  # frames, frames/s, seconds: measured, not believed
print(video.frames([0, 8, 16]).shape)  # (T, H, W, 3) uint8 RGB, exact frames

model = create_model("c3d_small", num_classes=10, seed=0)
described = Extractor(model, layers=("fc6",), clip_length=16, stride_frames=8).describe(sys.argv[1])
print(described.start_s, described.end_s, described.vectors["fc6"].shape)  # one row per clip
print(described.video_vector("fc6").shape)  # mean over clips, L2-normalized
