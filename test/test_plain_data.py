from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caer_ros.perception.person import BoxKind
from caer_ros.plain_data import plain


@dataclass
class Inner:
    box: np.ndarray
    kind: BoxKind


def test_everything_becomes_json():
    value = {"list": (Inner(np.array([1.5, np.nan]), BoxKind.HEAD), Path("a/b"), None, True), 2: float("inf")}
    expected = {"list": [{"box": [1.5, None], "kind": "head"}, "a/b", None, True], "2": None}
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == expected
