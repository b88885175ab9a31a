"""Messages as the node would send them, and a ground truth for them; everything is put in by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from std_msgs.msg import Header

from caer_ros.cli.demo.demo_truth import TrueImage, TruePerson, Truth
from caer_ros.msg import PersonEmotion, PersonEmotionArray

if TYPE_CHECKING:
    from caer_ros.cli.demo.demo_truth import Box

LABELS = ["Happy", "Neutral", "Sad"]
START_NS = 1_600_000_000 * 10**9
PERIOD_NS = 10**8

LEFT: Box = (10.0, 10.0, 110.0, 210.0)
MIDDLE: Box = (120.0, 10.0, 220.0, 210.0)
RIGHT: Box = (300.0, 10.0, 400.0, 210.0)


def stamp_of(index: int) -> int:
    """Stamp of image ``index``, in nanoseconds."""
    return START_NS + index * PERIOD_NS


def person(track: int, box: Box = LEFT, label: str = "Happy", **fields: Any) -> PersonEmotion:
    """A tracked person of whom the model is 0.8 sure; without ``label`` no face was found."""
    scores = [0.8 if name == label else 0.1 for name in LABELS] if label else [float("nan")] * len(LABELS)
    names = ("x_min", "y_min", "x_max", "y_max")
    return PersonEmotion(
        **{
            **dict(zip(names, box, strict=True)),
            "track_id": f"4f2a-{track}",
            "track_state": PersonEmotion.TRACK_TRACKED,
            "box_kind": PersonEmotion.BOX_BODY,
            "detection_confidence": 0.9,
            "emotion_status": PersonEmotion.EMOTION_OK if label else PersonEmotion.EMOTION_NO_FACE,
            "scores": scores,
            "smoothed_scores": scores,
            "top_index": LABELS.index(label) if label else -1,
            "top_label": label,
            "top_score": 0.8 if label else float("nan"),
            **fields,
        }
    )


def message(index: int, *persons: PersonEmotion, delay_ns: int = 10**8, **fields: Any) -> PersonEmotionArray:
    """What the node says about image ``index``, published ``delay_ns`` after its stamp."""
    result = PersonEmotionArray(
        header=Header(frame_id="camera"),
        image_width=640,
        image_height=480,
        labels=LABELS,
        predictable=[True] * len(LABELS),
        persons=list(persons),
        **{"processing_time": 0.08, "inference_time": 0.05, **fields},
    )
    for time, moment in ((result.header.stamp, stamp_of(index)), (result.published, stamp_of(index) + delay_ns)):
        time.sec, time.nanosec = divmod(moment, 10**9)
    return result


def true(name: str, box: Box = LEFT, visible: float = 1.0, ignore: bool = False, number: int = 1) -> TruePerson:
    """Somebody real."""
    return TruePerson(name, f"{name}/{number}", box, visible, ignore)


def truth(*images: tuple[TruePerson, ...], noise: tuple[int, ...] = (), **expected: dict[str, str]) -> Truth:
    """Who is in image 0, 1, 2, ...; and what is expected of whom."""
    return Truth(
        tuple(TrueImage(stamp_of(index), index in noise, here) for index, here in enumerate(images)),
        info={"persons": expected} if expected else {},
    )
