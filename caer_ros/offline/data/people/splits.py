"""Which split a picture belongs to: by its name, so that what a model was judged on is never learnt from."""

from __future__ import annotations

import hashlib

_OF_TEN = ("test", "val")


def split_of(name: str) -> str:
    """Return "train", "val" or "test" for the stem of a picture's file."""
    first = hashlib.sha256(name.encode("utf-8")).digest()[0] % 10
    return _OF_TEN[first] if first < len(_OF_TEN) else "train"
