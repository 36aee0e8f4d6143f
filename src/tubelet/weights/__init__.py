"""Weights that were made for something else: read, converted, and every tensor accounted for."""
