"""The label sets of the field, and which label of one means what in another: data, not code.

Names and order are those of the data sets' own releases; scores, annotations and confusion matrices use this order.
"""

from __future__ import annotations

EMOTIC = (
    "Affection",
    "Anger",
    "Annoyance",
    "Anticipation",
    "Aversion",
    "Confidence",
    "Disapproval",
    "Disconnection",
    "Disquietment",
    "Doubt/Confusion",
    "Embarrassment",
    "Engagement",
    "Esteem",
    "Excitement",
    "Fatigue",
    "Fear",
    "Happiness",
    "Pain",
    "Peace",
    "Pleasure",
    "Sadness",
    "Sensitivity",
    "Suffering",
    "Surprise",
    "Sympathy",
    "Yearning",
)
HECO = ("Anger", "Disgust", "Excitement", "Fear", "Happiness", "Peace", "Sadness", "Surprise")
CAER_S = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
AFFECTNET = ("Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt")
EMOSET = ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness")

LABEL_SETS: dict[str, tuple[str, ...]] = {
    "emotic": EMOTIC,
    "heco": HECO,
    "caer_s": CAER_S,
    "affectnet": AFFECTNET,
    "emoset": EMOSET,
}

# One row a meaning: the label that carries it in each set that has one. Choices of ours: EMOTIC defines Aversion as
# "feeling disgust, dislike, repulsion"; HECO has no neutral and labels calm people Peace, which EMOTIC keeps for
# "well being and relaxed"; EmoSet's contentment is that same calm.
COUNTERPARTS: tuple[dict[str, str], ...] = (
    {"emotic": "Anger", "heco": "Anger", "caer_s": "Anger", "affectnet": "Anger", "emoset": "anger"},
    {"emotic": "Aversion", "heco": "Disgust", "caer_s": "Disgust", "affectnet": "Disgust", "emoset": "disgust"},
    {"emotic": "Fear", "heco": "Fear", "caer_s": "Fear", "affectnet": "Fear", "emoset": "fear"},
    {"emotic": "Happiness", "heco": "Happiness", "caer_s": "Happy", "affectnet": "Happy"},
    {"emotic": "Sadness", "heco": "Sadness", "caer_s": "Sad", "affectnet": "Sad", "emoset": "sadness"},
    {"emotic": "Surprise", "heco": "Surprise", "caer_s": "Surprise", "affectnet": "Surprise"},
    {"emotic": "Excitement", "heco": "Excitement", "emoset": "excitement"},
    {"emotic": "Peace", "heco": "Peace", "emoset": "contentment"},
    {"heco": "Peace", "caer_s": "Neutral", "affectnet": "Neutral"},
)


def name_of(labels: tuple[str, ...]) -> str | None:
    """The label set that has just these labels in this order; None: none of ours."""
    return next((name for name, known in LABEL_SETS.items() if known == labels), None)


def counterparts(source: str, target: str) -> dict[str, str]:
    """Which label of ``target`` each label of ``source`` means; labels without a counterpart are left out.

    Args:
        source, target: names of label sets, keys of ``LABEL_SETS``.

    Raises:
        KeyError: no label set of that name.
    """
    labels = LABEL_SETS[source]
    if target not in LABEL_SETS:
        raise KeyError(target)
    if source == target:
        return {label: label for label in labels}
    found = {row[source]: row[target] for row in COUNTERPARTS if source in row and target in row}
    return {label: found[label] for label in labels if label in found}
