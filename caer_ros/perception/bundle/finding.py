"""Find model bundles by name or path."""

from __future__ import annotations

import os
from pathlib import Path

from caer_ros import share
from caer_ros.perception.bundle.bundle import MANIFEST, BundleError

DEFAULT = "bootstrap"
"""The bundle that runs where none is named."""


def find_bundle(name_or_path: str) -> Path:
    """The folder of a bundle.

    Args:
        name_or_path: a path to the folder, or the name of one in a folder of ``CAER_MODEL_PATH`` (a path list) or in
            models/ of the package (see :func:`caer_ros.share.folders`).

    Raises:
        BundleError: none there; names the places searched and the bundles that exist.
    """
    given = Path(name_or_path).expanduser()
    if (given / MANIFEST).is_file():
        return given
    if given.name != name_or_path:
        raise BundleError(f"{given}: no {MANIFEST} in this folder; give the folder that holds it, or a bundle's name")
    for folder in _search_path():
        if (folder / name_or_path / MANIFEST).is_file():
            return folder / name_or_path
    places = "\n  ".join(str(folder) for folder in _search_path())
    names = ", ".join(path.name for path in available_bundles()) or "none"
    raise BundleError(
        f'no model bundle named "{name_or_path}"; there are: {names}. Searched:\n  {places}\n'
        "Give a path, or add the folder that holds the bundle to CAER_MODEL_PATH"
    )


def available_bundles() -> list[Path]:
    """The folders of all bundles that can be found by name, by name; the first place searched wins."""
    found: dict[str, Path] = {}
    for folder in _search_path():
        for manifest in folder.glob(f"*/{MANIFEST}"):
            found.setdefault(manifest.parent.name, manifest.parent)
    return [found[name] for name in sorted(found)]


def _search_path() -> list[Path]:
    own = [Path(entry) for entry in os.environ.get("CAER_MODEL_PATH", "").split(os.pathsep) if entry]
    return list(dict.fromkeys([*own, *(folder / "models" for folder in share.folders())]))


def is_replaceable(folder: Path) -> bool:
    """Is it a bundle or empty, and not, by a slip, the folder of all models?"""
    return (folder / MANIFEST).is_file() or (folder.is_dir() and not any(folder.iterdir()))
