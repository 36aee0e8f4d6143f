"""Looking at what was learned: maps of descriptors."""

from tubelet.visualize.agreement import Agreement, agreement
from tubelet.visualize.embedding import Embedding, embed_principal, embed_tsne
from tubelet.visualize.points import MapPoints, read_points

__all__ = ["Agreement", "Embedding", "MapPoints", "agreement", "embed_principal", "embed_tsne", "read_points"]
