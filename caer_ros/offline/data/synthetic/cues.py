"""The statistical model behind the pictures: what face, posture and scene tell, and the best that anybody could score.

An image has a scene s, uniform over the eight base emotions. A person's emotion y is s with probability ``scene``,
else uniform; the face shows y with probability ``face``, else anything; so does the posture. Given y the three cues
are independent, so every posterior is exact: P(y | f, p, s) ∝ P(y | s) P(f | y) P(p | y).

What is *not* counted: without a look at the scene, the cues of other people in the image tell a little about s, and
so about y. "Without the scene" means here: from this person alone. With the scene, other people add nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caer_ros import taxonomy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

EMOTIONS = taxonomy.HECO
"""The base emotions; indices of emotions, faces, postures and scenes mean these."""
EXPRESSIONS = (*EMOTIONS, "Contempt")
"""The faces: one for each emotion, and AffectNet's eighth, which only portraits show."""
HIDDEN = -1
"""The index of a face that is turned away."""
CUES = ("face", "posture", "scene")

_COUNT = len(EMOTIONS)


@dataclass(frozen=True, slots=True)
class Dials:
    """How much each cue tells, 0 nothing to 1 everything, and how often a face is hidden.

    Raises:
        ValueError: a dial is not within 0..1.
    """

    face: float = 0.8
    posture: float = 0.5
    scene: float = 0.7
    hidden: float = 0.25

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0.0 <= (value := getattr(self, name)) <= 1.0:
                raise ValueError(f"{name} {value}: must be within 0..1")


@dataclass(frozen=True, slots=True)
class Cues:
    """One person: indices of ``EMOTIONS``; ``face`` may be HIDDEN."""

    emotion: int
    face: int
    posture: int
    scene: int


def draw(dials: Dials, scene: int, random: np.random.Generator) -> Cues:
    """A person of an image with this scene."""

    def noisy(value: int, dial: float) -> int:
        tells, anything = random.random() < dial, int(random.integers(_COUNT))
        return value if tells else anything

    emotion = noisy(scene, dials.scene)
    face, posture = noisy(emotion, dials.face), noisy(emotion, dials.posture)
    return Cues(emotion, HIDDEN if random.random() < dials.hidden else face, posture, scene)


def posterior(dials: Dials, face: Indices, posture: Indices, scene: Indices, sees: Sequence[str] = CUES) -> Floats:
    """P(emotion | the cues that are seen), [N,8].

    Args:
        face, posture, scene: [N] indices of ``EMOTIONS``, and HIDDEN for a face.
        sees: which of ``CUES`` are looked at.

    Raises:
        ValueError: ``sees`` names something else.
    """
    if unknown := set(sees) - set(CUES):
        raise ValueError(f"sees {sorted(unknown)}: there is only {', '.join(CUES)}")
    likelihood = np.ones((len(face), _COUNT))
    for name, values, dial in (
        ("face", face, dials.face),
        ("posture", posture, dials.posture),
        ("scene", scene, dials.scene),
    ):
        if name in sees:
            seen = values != HIDDEN
            likelihood[seen] *= _channel(dial)[values[seen]]
    total = likelihood.sum(1, keepdims=True)
    # With dials at 1 contradicting cues are impossible; those of other dials must not end in 0/0.
    return np.where(total > 0, likelihood / np.where(total > 0, total, 1.0), 1.0 / _COUNT)


def best_average_precision(dials: Dials, sees: Sequence[str] = CUES, table: Floats | None = None) -> Floats:
    """The average precision per label that perfect perception of the seen cues reaches on infinitely many persons, [E].

    Ranking by the posterior is optimal (Neyman and Pearson). Persons who look alike are ranked at random among each
    other, so this is the integral of precision over recall. It is more than what equal scores would get: of tied
    persons, ``sklearn.metrics.average_precision_score`` counts the precision after the last for all.

    Args:
        dials: of the images.
        sees: which of ``CUES`` are looked at.
        table: P(label | emotion) [8,E] of a set with other labels, such as ``EMOTIC_TABLE``; default: the emotions.
    """
    face, posture, scene, weights = _cells(dials)
    table = np.eye(_COUNT) if table is None else table
    scores = posterior(dials, face, posture, scene, sees) @ table
    truth = posterior(dials, face, posture, scene) @ table
    return np.array([_average_precision(t * weights, weights, s) for t, s in zip(truth.T, scores.T, strict=True)])


def best_ap(dials: Dials, sees: Sequence[str] = CUES, table: Floats | None = None) -> float:
    """The mean over the labels of ``best_average_precision``; labels that never occur do not count."""
    return float(np.nanmean(best_average_precision(dials, sees, table)))


def best_scores(
    dials: Dials, persons: Sequence[Cues], sees: Sequence[str] = CUES, table: Floats | None = None
) -> Floats:
    """What the best model would answer for these very persons, [N,E]: the bound on a drawn test set.

    Posteriors, with ties broken at random (by less than 1e-9, always alike): see ``best_average_precision``.
    """
    shown = np.array([(p.face, p.posture, p.scene) for p in persons], np.int64).reshape(-1, 3)
    table = np.eye(_COUNT) if table is None else table
    scores = posterior(dials, shown[:, 0], shown[:, 1], shown[:, 2], sees) @ table
    # Equal up to the order of the multiplications is equal.
    return scores.round(9) + 1e-10 * np.random.default_rng(0).random(scores.shape)


def _channel(dial: float) -> Floats:
    """P(shown | meant) [8,8], symmetric: so it is P(meant | shown) too."""
    return dial * np.eye(_COUNT) + (1.0 - dial) / _COUNT


def _cells(dials: Dials) -> tuple[Indices, Indices, Indices, Floats]:
    """Every combination of face (or hidden), posture and scene, and how probable it is."""
    grid = np.meshgrid(np.arange(-1, _COUNT), np.arange(_COUNT), np.arange(_COUNT), indexing="ij")
    face, posture, scene = (axis.reshape(-1) for axis in grid)
    by_emotion = _channel(dials.scene)[scene] * _channel(dials.posture)[posture] / _COUNT
    by_emotion *= np.where((face == HIDDEN)[:, None], dials.hidden, (1.0 - dials.hidden) * _channel(dials.face)[face])
    return face, posture, scene, by_emotion.sum(1)


def _average_precision(hits: Floats, weights: Floats, scores: Floats) -> float:
    """∫ precision d(recall) over cells of which a part, ``hits``, is positive; NaN when nothing is."""
    # Equal up to the order of the multiplications is equal.
    _, group = np.unique(-scores.round(12), return_inverse=True)
    sums: Floats = np.stack([np.bincount(group, hits), np.bincount(group, weights)])
    hits, weights = sums[:, sums[1] > 0]
    if hits.sum() <= 0:
        return float("nan")
    hits_before, before = np.cumsum(hits) - hits, np.cumsum(weights) - weights
    # Within a group of precision p, after n persons with h hits: ∫ (h + p x) / (n + x) p dx for x from 0 to its weight.
    precision = hits / weights
    excess = hits_before - precision * before
    logs = np.log1p(np.divide(weights, before, out=np.zeros_like(weights), where=before > 0))
    return float(np.sum(precision * (hits + excess * logs)) / hits.sum())


# P(label | emotion) of the 26 labels of EMOTIC, several of which hold at once. Choices of ours: counterparts (see
# ``taxonomy``) always hold; relatives of the emotion, by EMOTIC's definitions, hold every other time; the labels that
# have to do with activity rather than feeling at the same rate for everybody; the rest hardly ever.
_RELATIVES: dict[str, tuple[str, ...]] = {
    "Anger": ("Annoyance", "Disapproval", "Aversion"),
    "Disgust": ("Disapproval", "Annoyance", "Disquietment"),
    "Excitement": ("Anticipation", "Happiness", "Pleasure"),
    "Fear": ("Disquietment", "Suffering", "Doubt/Confusion"),
    "Happiness": ("Pleasure", "Affection", "Esteem", "Excitement"),
    "Peace": ("Pleasure", "Esteem", "Sympathy"),
    "Sadness": ("Suffering", "Pain", "Disconnection", "Fatigue", "Yearning"),
    "Surprise": ("Doubt/Confusion", "Anticipation", "Embarrassment"),
}
_ANYBODY = {"Engagement": 0.5, "Confidence": 0.2, "Sensitivity": 0.1}
_RELATIVE, _REST = 0.5, 0.02


def _emotic_table() -> Floats:
    table = np.full((_COUNT, len(taxonomy.EMOTIC)), _REST)
    for label, probability in _ANYBODY.items():
        table[:, taxonomy.EMOTIC.index(label)] = probability
    for row, emotion in zip(table, EMOTIONS, strict=True):
        row[[taxonomy.EMOTIC.index(relative) for relative in _RELATIVES[emotion]]] = _RELATIVE
        row[taxonomy.EMOTIC.index(taxonomy.counterparts("heco", "emotic")[emotion])] = 1.0
    return table


EMOTIC_TABLE: Floats = _emotic_table()
"""[8,26]"""

VAD: Floats = np.array(
    [
        (-0.6, 0.7, 0.4),  # Anger
        (-0.6, 0.2, 0.1),  # Disgust
        (0.7, 0.8, 0.4),  # Excitement
        (-0.7, 0.6, -0.6),  # Fear
        (0.8, 0.4, 0.4),  # Happiness
        (0.5, -0.6, 0.2),  # Peace
        (-0.7, -0.4, -0.4),  # Sadness
        (0.2, 0.7, -0.2),  # Surprise
        (-0.4, 0.1, 0.5),  # Contempt
    ]
)
"""[9,3] valence, arousal, dominance that go with each of ``EXPRESSIONS``, -1..1; choices of ours, after Russell's
circumplex."""

EMOSET_LABELS: dict[str, str] = taxonomy.counterparts("heco", "emoset") | {"Happiness": "amusement", "Surprise": "awe"}
"""EmoSet's label of each scene: counterparts, and two choices of ours for its two other labels."""

AFFECTNET_LABELS: dict[str, str] = taxonomy.counterparts("heco", "affectnet") | {"Contempt": "Contempt"}
"""AffectNet's label of each of ``EXPRESSIONS`` but Excitement, which has none."""
