"""Motion between frames: optical flow, computed, stored and stacked for networks.

``field`` holds the value and its quantization, ``stack`` (with ``trajectory``) what networks read. Import from the
modules; this file imports nothing, so that the command line can name them without torch or OpenCV.
"""
