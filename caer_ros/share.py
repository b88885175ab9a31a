"""Where the package's own files lie (models/, config/, msg/, resource/): in the source tree or installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def folders() -> list[Path]:
    """The source tree when this is one, then share/caer_ros of each sourced workspace and of this Python's prefix."""
    source = Path(__file__).resolve().parents[1]
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    shares = [Path(prefix, "share", "caer_ros") for prefix in prefixes]
    return [source, *shares] if (source / "package.xml").is_file() else shares


def find(relative: str) -> Path:
    """The first of ``folders`` that holds the file or folder ``relative``.

    Raises:
        FileNotFoundError: none does; names the places.
    """
    for folder in folders():
        if (folder / relative).exists():
            return folder / relative
    places = ", ".join(map(str, folders()))
    raise FileNotFoundError(f"no {relative} in {places}: is caer_ros installed, and its workspace sourced?")
