"""One small student for all: as a checkpoint, and exported, which takes seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def student_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_student import write_checkpoint

    return write_checkpoint(tmp_path_factory.mktemp("run") / "checkpoints" / "best.ckpt")


@pytest.fixture(scope="session")
def student_bundle(student_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of that checkpoint: float32, eight persons at most."""
    from caer_ros.offline.export.card import ExportSettings
    from caer_ros.offline.export.export import export

    settings = ExportSettings(weights="float32", max_persons=8, person=0.05)
    return export(student_checkpoint, tmp_path_factory.mktemp("models") / "tiny", settings).bundle.path
