"""The one import of transformers and of the hub's client, which are the extra ``hf``."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from tubelet.errors import MissingExtraError


@cache
def transformers() -> Any:
    """The module ``transformers``, silenced; call it inside functions, so that nothing else needs the extra.

    Its progress bars and reports are off: what they would say of missing weights is an error here.

    Raises
    ------
    MissingExtraError
        It is not installed, older than version 5, or does not import here.
    """
    module = _imported("transformers")
    if int(module.__version__.partition(".")[0]) < 5:
        raise _missing(f"transformers {module.__version__} is installed, and 5 or later is needed")
    module.logging.set_verbosity_error()
    module.logging.disable_progress_bar()
    return module


def hub() -> Any:
    """The module ``huggingface_hub``.

    Raises
    ------
    MissingExtraError
        It is not installed, or does not import here.
    """
    return _imported("huggingface_hub")


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:  # a torchvision of another torch ends in a RuntimeError
        raise _missing(str(error).partition("\n")[0]) from error


def _missing(why: str) -> MissingExtraError:
    return MissingExtraError(
        "networks of Hugging Face need transformers", why=why, remedy="install it with: pip install 'tubelet[hf]'"
    )
