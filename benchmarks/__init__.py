"""Speed and memory, as ratios against a rival measured in turns in the same run.

``python -m benchmarks`` runs everything; ``python -m benchmarks network`` one part. Results are printed and
written to ``runs/benchmarks/``.
"""
