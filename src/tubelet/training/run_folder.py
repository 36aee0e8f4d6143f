"""The folder of a run: settings, environment, log and failures, guarded against mixing two runs."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tubelet.artifacts import write_json, write_text
from tubelet.errors import UsageError
from tubelet.provenance import environment, hash_json
from tubelet.training.config import save_toml


class RunFolder:
    """A folder that belongs to one set of settings.

    Parameters
    ----------
    path
        ``runs/<verb>/<name>`` or whatever the user chose.
    settings
        The resolved settings, JSON values. They go into ``config.toml``; a run is resumed only with equal ones.
    overwrite
        Delete what another run left there.

    Raises
    ------
    UsageError
        If the folder holds a run with other settings, or other files.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], *, overwrite: bool = False) -> None:
        self.path = Path(path)
        identity = hash_json(settings)
        known = self._identity()
        if overwrite and self.path.exists() and (known is not None or not any(self.path.iterdir())):
            shutil.rmtree(self.path)
            known = None
        if known is None and self.path.exists() and any(self.path.iterdir()):
            raise UsageError(
                "the output folder is not empty and holds no run",
                path=self.path,
                remedy="choose another folder with -o",
            )
        if known is not None and known != identity:
            raise UsageError(
                "the output folder holds a run with other settings",
                path=self.path,
                why="see its config.toml",
                remedy="choose another folder with -o, or add --overwrite to delete that run",
            )
        self.resumed = known is not None
        if not self.resumed:  # the identity comes first: a run killed right here is known for ours
            write_json(self.path / "env.json", environment(settings_hash=identity, seed=_seed(settings)))
        if not (self.path / "config.toml").exists():
            save_toml(self.path / "config.toml", settings)

    def _identity(self) -> str | None:
        try:
            found = json.loads((self.path / "env.json").read_text(encoding="utf-8"))
            return str(found["settings_hash"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_failures(self, name: str, failures: Sequence[tuple[str, str]]) -> None:
        """List failed items in a JSON Lines file; no file is left where nothing failed."""
        target = self.path / name
        if failures:
            lines = [json.dumps({"path": path, "error": why}, ensure_ascii=False) for path, why in failures]
            write_text(target, "\n".join(lines) + "\n")
        else:
            target.unlink(missing_ok=True)

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Copy the package's log messages into ``log.txt`` while the run lasts."""
        handler = logging.FileHandler(self.path / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger = logging.getLogger("tubelet")
        before = logger.level
        logger.addHandler(handler)
        logger.setLevel(min(before, logging.INFO) if before else logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)
            handler.close()


def safe_name(name: str) -> str:
    """What a run's part may be called as a folder: distinct for distinct names, readable for plain ones."""
    plain = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:40]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _seed(settings: dict[str, Any]) -> Any:
    return settings.get("train", {}).get("seed") if isinstance(settings.get("train"), dict) else None
