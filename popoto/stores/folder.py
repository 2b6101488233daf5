"""The folder of contents on files, chosen once for the whole process and looked up at each use."""

from __future__ import annotations

import os
from pathlib import Path

_chosen: str | None = None


def choose(path: str | None) -> None:
    """Set the folder; None leaves it to the environment."""
    global _chosen
    _chosen = path


def chosen() -> str | None:
    """The folder that was set, or None."""
    return _chosen


def content_folder() -> Path:
    """Where contents are kept: what was chosen, else POPOTO_CONTENT_PATH, else `~/.popoto/content`."""
    return Path(_chosen or os.environ.get("POPOTO_CONTENT_PATH") or "~/.popoto/content").expanduser()
