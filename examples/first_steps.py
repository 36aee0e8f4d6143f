"""Ten lines: a video becomes clips with times, and clips become a descriptor. No weights ship, so the net is untrained."""

import sys

from tubelet import Extractor, Video, create_model

video = Video(sys.argv[1])
print(f"{len(video)} frames, {video.fps:.2f} frames/s, {video.width}x{video.height}, {video.times[-1]:.2f} s")
print(video.frames([0, 8, 16]).shape)  # (T, H, W, 3) uint8 RGB

model = create_model("c3d_small", num_classes=10, seed=0)
described = Extractor(model, layers=("fc6",), clip_length=16, stride_frames=8).describe(sys.argv[1])
for start, end, row in zip(described.start_s, described.end_s, described.vectors["fc6"], strict=True):
    print(f"{start:6.2f} s to {end:6.2f} s: {row.shape[0]} numbers, {(row > 0).mean():.0%} of them active")
print(described.video_vector("fc6").shape)  # mean over clips, L2-normalized: the C3D video descriptor
