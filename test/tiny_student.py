"""A student small enough to export in seconds, untrained but alive, and annotated pictures to run it on."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from caer_ros.offline.export.export import inputs_of
from caer_ros.offline.systems.ka.config import ModelConfig
from caer_ros.offline.systems.ka.graph import StudentGraph
from caer_ros.offline.systems.ka.networks import build
from caer_ros.offline.training.checkpoint import PREFIX, save
from caer_ros.offline.training.checkpoint_card import CheckpointCard, plain_card
from caer_ros.perception.imaging.resizing import Resize
from caer_ros.perception.person import BoxKind

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

LABELS = ("calm", "cross", "glad")
SIZE = (64, 96)
BACKBONE = "mobilenetv4_conv_small_050"


def pictures(count: int = 4, height: int = 90, width: int = 120, seed: int = 0) -> list[np.ndarray]:
    """RGB, smooth noise with edges."""
    random = np.random.default_rng(seed)
    result = []
    for _ in range(count):
        picture = cv2.resize(random.integers(0, 256, (9, 12, 3), np.uint8), (width, height))
        x, y = (int(value) for value in random.integers(0, 50, 2))
        picture[y : y + 30, x : x + 20] = random.integers(0, 256, 3)
        result.append(picture)
    return result


def rule(mode: str = "letterbox", size: tuple[int, int] = SIZE) -> Resize:
    return Resize(mode, size)


def network(model: ModelConfig, task: str = "student", resize: Resize | None = None) -> nn.Module:
    """Random weights; a student's statistics are those of pictures, so that its maps differ from pixel to pixel."""
    torch.manual_seed(0)
    result = build(task, model, len(LABELS))
    if task == "student":
        resize = resize or rule()
        inputs = torch.from_numpy(np.stack(inputs_of(resize, pictures(8, seed=1))))
        graph = StudentGraph(result, resize, 10, multi_label=True).train()
        with torch.no_grad():
            for _ in range(12):
                graph(inputs)
            if result.detection_head is not None:
                result.detection_head.sizes[-1].bias.fill_(6.0)  # pixels of the map; untrained they are about 0
    return result.eval()


def write_checkpoint(
    path: Path,
    backbone: str = BACKBONE,
    task: str = "student",
    mode: str = "letterbox",
    detection: bool = True,
    multi_label: bool = True,
    **card: object,
) -> Path:
    """As `caer train` leaves it."""
    model = ModelConfig(backbone, None, head_width=8, head_blocks=1, detection=detection)
    resize = rule(mode)
    fields = {
        "task": task,
        "config": {"model": asdict(model)},
        "labels": LABELS,
        "known": LABELS,
        "label_set": "moods",
        "multi_label": multi_label,
        "box_kind": BoxKind.BODY,
        "resize": resize,
        "version": "0.1.0",
        "commit": "",
        "data": "nothing: random weights",
        "recipe": "none",
        "epoch": 0,
        "metrics": {"val/loss": 1.25, "val/er": float("nan")},
    }
    entries = {PREFIX + name: value for name, value in network(model, task, resize).state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save({"caer": plain_card(CheckpointCard(**fields | card)), "state_dict": entries}, path)
    return path


def write_own(root: Path, splits: tuple[str, ...] = ("test",), images: int = 6, **info: object) -> Path:
    """A data set of one's own: 0 to 2 persons an image, every label there, seeded."""
    root.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    for split in splits:
        entries, annotations = [], []
        for number, picture in enumerate(pictures(images, seed=7)):
            name = f"{split}_{number}.png"
            assert cv2.imwrite(str(root / name), picture[..., ::-1])
            entries.append({"id": number, "file_name": name, "width": 120, "height": 90})
            for _ in range(number % 3):
                x, y, width, height = (int(v) for v in random.integers((0, 0, 20, 20), (60, 40, 50, 45)))
                label = LABELS[len(annotations) % 3]
                annotation = {"id": len(annotations) + 1, "image_id": number, "bbox": [x, y, width, height]}
                annotations.append(annotation | {"emotions": [label]})
        head = {"label_set": "moods", "labels": list(LABELS), "multi_label": True, "exhaustive": True} | info
        content = {"info": head, "images": entries, "annotations": annotations}
        (root / f"{split}.json").write_text(json.dumps(content))
    return root
