"""Frames become network input."""
