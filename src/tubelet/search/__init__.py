"""Nearest clips and videos."""
