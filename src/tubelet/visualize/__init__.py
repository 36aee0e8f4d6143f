"""Looking inside: a map of a collection of videos."""

from tubelet.visualize.embedding import embed_tsne

__all__ = ["embed_tsne"]
