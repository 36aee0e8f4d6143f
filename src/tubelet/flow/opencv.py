"""The one import of OpenCV, which is the extra ``flow``."""

from __future__ import annotations

from functools import cache
from types import ModuleType

from tubelet.errors import MissingExtraError


@cache
def opencv() -> ModuleType:
    """``cv2``, set to one thread; call it inside functions, so that nothing else needs the extra.

    One thread because videos are what runs in parallel (OpenCV's own threads make that slower), and because
    a process forked after OpenCV has started threads hangs. Its OpenCL path is off: it would give other
    vectors on machines with a graphics driver.

    Returns
    -------
    module
        ``cv2``.

    Raises
    ------
    MissingExtraError
        OpenCV is not installed, or does not import here.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError(
            "optical flow needs OpenCV", why=str(error), remedy="install it with: pip install 'tubelet[flow]'"
        ) from error
    cv2.setNumThreads(1)
    cv2.ocl.setUseOpenCL(False)
    return cv2
