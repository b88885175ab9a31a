"""Data and networks that many tests share: pictures, scenes whose colours are emotions, and a small student.

``test/conftest.py`` offers them as fixtures; what is heavy is imported when a fixture is asked for.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from caer_ros.offline.systems.ka.config import KaConfig
    from caer_ros.perception.predictors.composed.composed import Composed

LABELS = ["red", "green", "blue"]
HEIGHT, WIDTH = 72, 96


def write_colours(root: Path, images: dict[str, int], exhaustive: bool = True, seed: int = 0) -> Path:
    """Scenes of noise with 0 to 3 persons, as json of one's own for each split."""
    random = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    for split, number in images.items():
        entries, annotations = [], []
        for index in range(number):
            pixels = random.integers(100, 150, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            for _ in range(index % 4):
                x, y = (int(value) for value in random.integers(0, 40, 2))
                width, height = (int(value) for value in random.integers(16, 32, 2))
                colour = int(random.integers(3))
                pixels[y : y + height, x : x + width] = np.eye(3)[colour] * 255
                annotation = {"id": len(annotations) + 1, "image_id": index, "bbox": [x, y, width, height]}
                annotations.append(annotation | {"emotions": [LABELS[colour]]})
            name = f"{split}_{index}.png"
            assert cv2.imwrite(str(root / name), pixels[..., ::-1])
            entries.append({"id": index, "file_name": name, "width": WIDTH, "height": HEIGHT})
        info = {"label_set": "colours", "labels": LABELS, "box_kind": "body", "exhaustive": exhaustive}
        content = {"info": info, "images": entries, "annotations": annotations}
        (root / f"{split}.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14 images to learn from and 7 to validate on; tests that change it make their own."""
    return write_colours(tmp_path_factory.mktemp("colours"), {"train": 14, "val": 7})


@pytest.fixture
def config(colours: Path, tmp_path: Path) -> KaConfig:
    """A student's run of two epochs of three steps."""
    from caer_ros.offline.systems.ka.config import KaConfig, ModelConfig, RecipeConfig
    from caer_ros.offline.training.config import DataConfig, TrainerConfig

    return KaConfig(
        output=str(tmp_path / "run"),
        data=DataConfig("own", str(colours), size=(64, 64), batch=4, workers=0),
        model=ModelConfig("mobilenetv4_conv_small_050", None, head_width=8, head_blocks=1),
        recipe=RecipeConfig(channels=16),
        trainer=TrainerConfig(epochs=2, accelerator="cpu", devices=1, threads=1),
    )


@pytest.fixture
def own_colours(config: KaConfig, tmp_path: Path) -> KaConfig:
    """The same on data that may be spoilt."""
    root = write_colours(tmp_path / "data", {"train": 9, "val": 4})
    return replace(config, data=replace(config.data, root=str(root)))


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


def write_picture(path, height=60, width=80):
    """A picture with some structure, so that a JPEG of it is more than its header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(noise, (width, height)))
    return path


@pytest.fixture(scope="session")
def picture():
    return write_picture


@pytest.fixture(scope="session")
def finder() -> Composed:
    """The carried networks for persons and faces."""
    from caer_ros.perception.bundle.finding import find_bundle
    from caer_ros.perception.bundle.reading import read_bundle
    from caer_ros.perception.engine import EngineSettings
    from caer_ros.perception.predictors.composed.composed import Composed

    return Composed(read_bundle(find_bundle("bootstrap")), EngineSettings("cpu", threads=1))


@pytest.fixture(scope="session")
def portraits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two known persons, neutral and smiling."""
    from made_portraits import write_portraits

    return write_portraits(tmp_path_factory.mktemp("known") / "portraits")


@pytest.fixture(scope="session")
def street_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One standing person."""
    from made_portraits import scene, write

    return write(tmp_path_factory.mktemp("streets") / "wall.png", scene()).parent
