"""The photographs of people that come with the package: what new bundles are tried on. Without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caer_ros import share
from caer_ros.recordings.annotations import image_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def named_pictures() -> dict[str, NDArray[np.uint8]]:
    """RGB [H,W,3] by file name."""
    folder = share.find("resource/demo/photos")
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg") and "_mask" not in path.stem)
    return {path.name: image_files.read(path) for path in paths}


def demo_pictures() -> list[NDArray[np.uint8]]:
    """RGB [H,W,3], in the order of their names."""
    return list(named_pictures().values())
