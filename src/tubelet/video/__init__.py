"""A file becomes frames with times."""
