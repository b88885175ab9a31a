"""Published expression networks, by the names of their files: what their authors' code does around them. Data only.

EmotiEffLib (HSEmotion): https://github.com/av-savchenko/EmotiEffLib at the commit below,
emotiefflib/facial_analysis.py and README.md. Faces are RGB, resized bilinearly to a square and normalised; the last
layer gives logits, in the networks called "mtl" with valence and arousal behind them. Its LICENSE is Apache-2.0;
README.md says so of "the code". The networks were trained on AffectNet, which is given out for research.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

COMMIT = "c018fcf96c79c3bd9184f1c9438fe2095c9f1943"
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of its red, green and blue, 0..1."""
_EIGHT = ("Anger", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
_SEVEN = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
_PROTOCOL = "published by the authors for their PyTorch file, not measured here: AffectNet, validation split, top 1"


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of a published file beside its graph."""

    labels: tuple[str, ...]
    """In the order of the outputs, by our names: what the authors call Happiness and Sadness is Happy and Sad."""
    size: int
    """Side of the input in pixels."""
    blob: str
    """The file's git object name at ``COMMIT``; by it the very file is recognised."""
    mean: tuple[float, ...] = IMAGENET[0]
    """Of pixels 0..1."""
    std: tuple[float, ...] = IMAGENET[1]
    valence_arousal: bool = False
    """Two more columns behind the labels'."""
    accuracy: tuple[tuple[int, float], ...] = ()
    """Number of AffectNet's classes and published accuracy in %."""
    channels: str = "rgb"
    layout: str = "nchw"
    gives: str = "logits"
    licence: str = "Apache-2.0"
    source: str = f"EmotiEffLib (HSEmotion) by Savchenko, https://github.com/av-savchenko/EmotiEffLib, {COMMIT[:7]}"
    data: str = "AffectNet, after training on VGGFace2 to tell faces apart"
    terms: str = (
        "The authors' repository is under Apache-2.0, which they state of the code; AffectNet, on which the weights "
        "were trained, is given out for research"
    )

    @property
    def metrics(self) -> list[dict[str, str | float]]:
        """The published scores as ``provenance.metrics`` has them."""
        return [
            {"name": f"accuracy in %, {classes} classes", "value": value, "protocol": _PROTOCOL}
            for classes, value in self.accuracy
        ]


_B0 = Preset(_EIGHT, 224, "")
PRESETS: dict[str, Preset] = {
    "enet_b0_8_best_afew": replace(
        _B0, blob="d87faf71e8756d68c701ffd88b4cde4be460f57d", accuracy=((8, 60.95), (7, 64.63))
    ),
    "enet_b0_8_best_vgaf": replace(
        _B0, blob="49772db4e87ee6df57087fba131832a959e5c64d", accuracy=((8, 61.32), (7, 64.57))
    ),
    "enet_b0_8_va_mtl": replace(
        _B0,
        blob="7ce9d6dd5b82b260bc19bfe7822a6ffa1abb6011",
        valence_arousal=True,
        accuracy=((8, 61.93), (7, 64.94)),
    ),
    "enet_b2_7": Preset(_SEVEN, 260, "cdd6a6070b72ed2e59e15e810ae0ecdbcb0f7626", accuracy=((7, 66.34),)),
    "enet_b2_8": Preset(_EIGHT, 260, "a7cb612cbab1ce3d50dd52e57285fb2c7ea6d0d9", accuracy=((8, 63.03), (7, 66.29))),
    "mbf_va_mtl": Preset(
        _EIGHT,
        112,
        "194db927ec135679e5cd0a267c5605e2e9d68e7e",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        valence_arousal=True,
    ),
    "mobilevit_va_mtl": Preset(_EIGHT, 224, "bed5781a1af9924536638ac3786603e124ee900e", valence_arousal=True),
}
"""By the names of the files, without ".onnx"."""
