"""Does ONNX Runtime answer as PyTorch does?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from scipy.special import expit

from caer_ros.offline.export.graph import INPUT, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from caer_ros.offline.export.graph import SingleShotGraph


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest absolute differences between two runs on the same pictures."""

    images: int
    persons: int
    """Of the first run, at least as likely as the lowest score asked for. Boxes and scores are compared for these."""
    unmatched: int
    """Of these, how many have no box of the second run within the graph's stride."""
    boxes: float
    """Pixels of the input."""
    person_scores: float
    """Probabilities."""
    emotion_scores: float
    """Probabilities."""
    emotion_maps: float
    """Logits; 0 where the network has no maps."""
    logits: float
    """Largest absolute logit of the maps, to judge ``emotion_maps`` by; 0 where the network has none."""

    def __str__(self) -> str:
        missing = f" ({self.unmatched} without a counterpart)" if self.unmatched else ""
        maps = f"emotion maps {self.emotion_maps:.2g} (logits up to {self.logits:.2g})" if self.logits else "no maps"
        if not self.persons:
            return f"nobody in {self.images} images, so neither boxes nor scores were compared; {maps}"
        return (
            f"{self.persons} persons{missing} in {self.images} images: boxes {self.boxes:.2g} px, person scores "
            f"{self.person_scores:.2g}, emotion scores {self.emotion_scores:.2g}, {maps}"
        )

    @property
    def holds(self) -> bool:
        """Is the difference that of float32 rounding?"""
        scores = max(self.person_scores, self.emotion_scores, self.emotion_maps / max(1.0, self.logits))
        return not self.unmatched and self.boxes < 0.05 and scores < 1e-3


def parity(
    graph: SingleShotGraph, model: onnx.ModelProto, inputs: Sequence[NDArray[np.uint8]], lowest: float = 1e-6
) -> Parity:
    """Compares PyTorch with ONNX Runtime on the CPU.

    Args:
        graph: what ``model`` was made of.
        model: the exported graph, possibly with smaller weights.
        inputs: images [H,W,3] of sizes that the graph takes, at least one.
        lowest: person score, 0..1, from which on persons are compared.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    persons = unmatched = 0
    boxes, scores, emotions, maps, logits = [0.0], [0.0], [0.0], [0.0], [0.0]
    for image in inputs:
        answer = run(graph, image[None])._asdict()
        ours = {name: value[0].numpy() for name, value in answer.items() if value is not None}
        given = session.run(list(ours), {INPUT: image[None]})
        theirs = {name: value[0] for name, value in zip(ours, given, strict=True)}
        if "emotion_maps" in ours:
            maps.append(float(np.abs(ours["emotion_maps"] - theirs["emotion_maps"]).max()))
            logits.append(float(np.abs(ours["emotion_maps"]).max()))
        height, width = image.shape[:2]
        sides = np.array([width, height, width, height], np.float32)
        likely, found = (_probable(graph, values["person_scores"]) for values in (ours, theirs))
        for slot in np.flatnonzero(likely >= lowest):
            persons += 1
            distances = np.abs((theirs["boxes"] - ours["boxes"][slot]) * sides).max(axis=1)
            twin = int(distances.argmin())
            if distances[twin] > graph.stride:
                unmatched += 1
                continue
            boxes.append(float(distances[twin]))
            scores.append(abs(float(found[twin] - likely[slot])))
            emotions.append(float(np.abs(theirs["emotion_scores"][twin] - ours["emotion_scores"][slot]).max()))
    return Parity(len(inputs), persons, unmatched, max(boxes), max(scores), max(emotions), max(maps), max(logits))


def _probable(graph: SingleShotGraph, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(expit(scores), np.float32) if graph.person_score == "logit" else scores
