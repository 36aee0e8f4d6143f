"""Frames become network input.

Which frames: ``sampling`` (with ``indices``, ``stream``). What is done to them: ``recipe`` and ``transforms``
(with ``mean_volume``, ``resize`` and ``jitter``). Where they are decoded: ``decode``.

Import from the modules; this file imports nothing, so that policies and recipes can be had without torch.
"""
