from __future__ import annotations

import pytest

from caer_ros.offline.export.card import ExportSettings, published
from caer_ros.offline.export.graph import ExportError
from caer_ros.offline.training.checkpoint_card import CheckpointCard
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.person import BoxKind

CARD = CheckpointCard(
    "people", {}, ("calm", "cross", "glad"), ("calm", "glad"), "moods", False, BoxKind.BODY,
    Resize("letterbox", (64, 64)), "0", "", "", "", 1, {},
)  # fmt: skip


def test_all_that_was_taught_is_published_unless_told_otherwise():
    assert published(CARD, ExportSettings()) == ("calm", "glad")
    assert published(CARD, ExportSettings(predictable=("glad",))) == ("glad",)
    assert published(CARD, ExportSettings(predictable=("glad", "calm"))) == ("calm", "glad")  # in the set's order


def test_what_was_not_taught_cannot_be_published():
    with pytest.raises(ExportError, match="predictable: 'cross' was not taught; there are calm, glad"):
        published(CARD, ExportSettings(predictable=("calm", "cross")))
