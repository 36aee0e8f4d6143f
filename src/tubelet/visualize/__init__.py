"""Looking at what was learned: maps of descriptors."""

from tubelet.visualize.agreement import Agreement, measure_agreement
from tubelet.visualize.embedding import Embedding, embed_principal, embed_tsne, needs_tsne
from tubelet.visualize.points import MapPoints, read_points

__all__ = [
    "Agreement",
    "Embedding",
    "MapPoints",
    "embed_principal",
    "embed_tsne",
    "measure_agreement",
    "needs_tsne",
    "read_points",
]
