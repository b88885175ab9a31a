"""A sheet of cases to look at: whole pictures, the head beside them as large as its pixels, and what was said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from caer_ros.offline.evaluation.portraits import canvas
from caer_ros.recordings import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from caer_ros.offline.evaluation.portraits.canvas import Picture
    from caer_ros.offline.evaluation.portraits.portrait_cases import Answer, Case

    Image = NDArray[np.uint8]

_EACH = 4
"""Cases of each view and size."""
_COLUMNS = 8
_LINE = 16
"""Pixels of the line of words below a picture."""
_CLOSE = 96
"""Side in pixels of the close look in a picture's corner."""
_QUALITY = 92


@dataclass
class Sheet:
    """The chosen cases as they come, of different persons."""

    tiles: list[tuple[tuple[str, int], Image]] = field(default_factory=list)
    seen: dict[tuple[str, int, str], int] = field(default_factory=dict)

    def show(self, case: Case, picture: Picture, answer: Answer) -> None:
        """Take a case in, if there are too few like it."""
        key = (case.view, case.size, case.expression)
        persons = self.seen.get(key, 0)
        self.seen[key] = persons + 1
        # Every third person, smiling and neutral by turns.
        if persons // 3 < _EACH and persons % 3 == 0 and (case.expression == "smiling") == bool(persons // 3 % 2):
            self.tiles.append(((case.view, case.size), tile(case, picture, answer)))

    def write(self, path: Path) -> None:
        """Write the sheet as JPEG. Raises OSError."""
        ordered = [pixels for _, pixels in sorted(self.tiles, key=lambda tile: tile[0])]
        ok, jpeg = cv2.imencode(".jpg", _grid(ordered)[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
        if not ok:
            raise OSError(f"{path}: the sheet cannot be written as JPEG")
        whole_file.write_bytes(path, jpeg.tobytes())


def tile(case: Case, picture: Picture, answer: Answer) -> Image:
    """[256,320,3] of one case."""
    small = cv2.resize(picture.pixels, (canvas.WIDTH // 2, canvas.HEIGHT // 2), interpolation=cv2.INTER_AREA)
    x_min, y_min, x_max, y_max = picture.face.tolist()
    x, y, side = (x_min + x_max) / 2, (y_min + y_max) / 2, 2.4 * (x_max - x_min)
    matrix = np.array([[side / _CLOSE, 0, x - side / 2], [0, side / _CLOSE, y - side / 2]])
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    close = cv2.warpAffine(picture.pixels, matrix, (_CLOSE, _CLOSE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    left = 0 if x > canvas.WIDTH / 2 else small.shape[1] - _CLOSE
    small[:_CLOSE, left : left + _CLOSE] = close
    words = np.zeros((_LINE, small.shape[1], 3), np.uint8)
    said = answer.label or answer.status or "missed"
    text = f"{case.person} {case.view} {case.expression} {case.size}: {said}"
    cv2.putText(words, text, (2, _LINE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (255, 255, 255), 1, cv2.LINE_AA)
    return np.concatenate([small, words]).astype(np.uint8)


def _grid(tiles: Iterable[Image]) -> Image:
    tiles = list(tiles)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    rows = [np.concatenate(tiles[at : at + _COLUMNS], axis=1) for at in range(0, len(tiles), _COLUMNS)]
    return np.concatenate(rows)
