"""Does ONNX Runtime answer as PyTorch does?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from scipy.special import expit

from caer_ros.offline.single_shot import INPUT, SingleShotOutput, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from caer_ros.offline.single_shot import SingleShotGraph


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest absolute differences between two runs on the same pictures."""

    images: int
    persons: int
    """Of the first run, at least as likely as the lowest score asked for. Boxes and scores are compared for these."""
    unmatched: int
    """Of these, how many have no box of the second run within one pixel of the map, four of the input."""
    boxes: float
    """Pixels of the input."""
    person_scores: float
    """Probabilities."""
    emotion_scores: float
    """Probabilities."""
    emotion_maps: float
    """Logits."""
    logits: float
    """Largest absolute logit of the maps, to judge ``emotion_maps`` by."""

    def __str__(self) -> str:
        missing = f" ({self.unmatched} without a counterpart)" if self.unmatched else ""
        maps = f"emotion maps {self.emotion_maps:.2g} (logits up to {self.logits:.2g})"
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
        inputs: images [H,W,3] of the graph's size, at least one.
        lowest: person score, above 0 and up to 1, from which on persons are compared.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = list(SingleShotOutput._fields)
    pairs = []
    for image in inputs:
        expected = [value[0].numpy() for value in run(graph, image[None])]
        given = [value[0] for value in session.run(names, {INPUT: image[None]})]
        pairs.append((dict(zip(names, expected, strict=True)), dict(zip(names, given, strict=True))))
    height, width = graph.size
    sides = np.array([width, height, width, height], np.float32)
    persons = unmatched = 0
    boxes, scores, emotions = [0.0], [0.0], [0.0]
    for ours, theirs in pairs:
        likely, found = expit(ours["person_scores"]), expit(theirs["person_scores"])
        for slot in np.flatnonzero(likely >= lowest):
            persons += 1
            distances = np.abs((theirs["boxes"] - ours["boxes"][slot]) * sides).max(axis=1)
            twin = int(distances.argmin())
            if distances[twin] > graph.student.stride:
                unmatched += 1
                continue
            boxes.append(float(distances[twin]))
            scores.append(abs(float(found[twin] - likely[slot])))
            emotions.append(float(np.abs(theirs["emotion_scores"][twin] - ours["emotion_scores"][slot]).max()))
    maps = max(float(np.abs(ours["emotion_maps"] - theirs["emotion_maps"]).max()) for ours, theirs in pairs)
    logits = max(float(np.abs(ours["emotion_maps"]).max()) for ours, _ in pairs)
    return Parity(len(inputs), persons, unmatched, max(boxes), max(scores), max(emotions), maps, logits)
