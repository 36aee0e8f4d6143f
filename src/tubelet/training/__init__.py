"""Training: settings, schedule, loop, checkpoints, and the proof that the arithmetic is right."""
