"""Resized frames become network input."""

from __future__ import annotations

from tubelet.clips.resize import resize

__all__ = ["resize"]
