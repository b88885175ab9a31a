"""What a robot really perceived: the messages that its node published in the field, judged at a deadline.

*Streaming* asks what a listener knew: a deadline after each annotated frame, the newest message by then is judged,
whichever image it speaks of, so that slow and fast models compare honestly (after Li et al., ECCV 2020, "Towards
Streaming Perception"). *Strict* asks for the answer to that very frame. Which frames were answered in time, late or not
at all is told by ``account``, beside how many images the node counts as dropped and rejected.

Times are header stamps of images and the messages' ``published`` (ROS clock): both on one clock, or deadlines mean
nothing; the notes of ``over_time.timing`` say where it looks otherwise. Deadlines are seconds, 0 or more.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from caer_ros.offline.data.predictions import ImagePrediction, Predictions, Timing, Tracked
from caer_ros.offline.metrics.detection import pd
from caer_ros.offline.metrics.joined import MetricsError, join
from caer_ros.offline.metrics.on_the_field import oer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from caer_ros.offline.evaluation.bags.published_messages import Counted
    from caer_ros.offline.metrics.detection import PersonDetection
    from caer_ros.offline.metrics.joined import Floats
    from caer_ros.offline.metrics.on_the_field import OnTheField
    from caer_ros.recordings.annotations.sample import Dataset, Sample

DEADLINES = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
"""s, of the curve: from faster than a camera's period to slower than a listener's patience."""
WARNING = "WARNING"
"""How a note begins that makes the numbers doubtful as a whole."""


class Fate(Enum):
    """What became of a frame."""

    IN_TIME = "in time"
    """Answered by the deadline."""
    LATE = "late"
    """Answered, after the deadline."""
    UNANSWERED = "no answer"
    """There is no answer in the recording. Why is not known of a single frame: the node dropped it for a newer one or
    could not decode it, or was not running; or the image did not reach the node, or the answer not the recorder."""


@dataclass(frozen=True, slots=True)
class Fates:
    """How many frames there are of each fate."""

    in_time: int
    late: int
    unanswered: int

    @classmethod
    def count(cls, fates: Iterable[Fate]) -> Fates:
        """Counts them."""
        counts = Counter(fates)
        return cls(*(counts[fate] for fate in Fate))

    @property
    def total(self) -> int:
        """All frames."""
        return self.in_time + self.late + self.unanswered


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the frames of a recording, by a deadline."""

    deadline: float
    fates: tuple[Fate, ...]
    """Fate of each sample."""
    image_missing: tuple[bool, ...]
    """True for each sample with an answer whose image the recorder lost. The answer counts all the same."""
    annotated: Fates
    """Fates of the samples."""
    frames: Fates
    """Fates of all known frames: those whose image or whose answer is in the bag."""
    drops: int
    """Images that the node replaced by newer ones, by its own count: that of its messages or that of its status,
    whichever is larger, for the recording may lack some of either."""
    rejected: int | None
    """Images that the node could not decode or that came too late, by its status; None: no status is recorded."""
    unexplained: int
    """At least so many of the frames without an answer are none that the node counts: unknown why."""
    images_missing: int
    """Frames whose answer is in the bag and whose image is not."""
    images_lost: int
    """Images that the node counts beyond the frames without an answer: at least so many of the dropped and rejected
    ones are not in the bag."""
    before_first: int
    """Frames without an answer before the first answered one: the node may not have been ready."""
    after_last: int
    """Frames without an answer after the last answered one: the node may have been stopped."""
    notes: tuple[str, ...]
    """What is odd about the recording, one sentence each."""


@dataclass(frozen=True, slots=True)
class Point:
    """Streaming at one deadline."""

    deadline: float
    oer: float
    """NaN without labels."""
    chance: float
    """The floor of OER."""
    pd: float
    """COCO's AP over IoU 0.50:0.95."""
    found: float
    """Part of the persons that a detection is matched to at IoU 0.5."""

    @classmethod
    def of(cls, deadline: float, emotions: OnTheField, persons: PersonDetection) -> Point:
        """Make a point of what is measured already."""
        return cls(deadline, emotions.mean_average_precision, emotions.chance, persons.ap, float(emotions.found[0]))


def streaming(published: Predictions, samples: Sequence[Sample], deadline: float) -> Predictions:
    """What a listener knew of each sample: the newest message that was published by its stamp + ``deadline``.

    Newest is by the time of publishing. The message may be about an earlier image or, at long deadlines, a later one;
    before the first message, and where the newest is about an image of another size, nobody counts as found.

    Args:
        published: the node's messages, see ``published_messages``.
        samples: annotated frames of the node's camera, each with a stamp of its own.
        deadline: seconds.

    Returns:
        One entry for each sample, in their order and by their image ids; ``stamp``, ``timing`` and ``tracked`` are the
        judged message's, None (and nobody tracked) where there is none.

    Raises:
        MetricsError: a sample without a stamp of its own, a message without times, or a message about the very frame
            that says another size than is annotated.
    """
    messages = _Messages(published)
    due = _stamps(samples, messages) + _nanoseconds(deadline)
    newest = np.searchsorted(messages.times, due, side="right") - 1
    chosen = [messages.images[index] if index >= 0 else None for index in newest.tolist()]
    return _judged(published, samples, chosen, f"newest answer after {1000 * deadline:g} ms")


def strict(published: Predictions, samples: Sequence[Sample], deadline: float) -> tuple[Predictions, list[Sample]]:
    """The answers to the very frames. Where there is none, or it came late, nobody counts as found.

    Args:
        published, samples, deadline: as of ``streaming``.

    Returns:
        One entry for each sample from the first answered frame to the last, as the node may not have been running
        before and after; and these samples.

    Raises:
        MetricsError: as ``streaming``.
    """
    messages = _Messages(published)
    stamps, longest = _stamps(samples, messages).tolist(), _nanoseconds(deadline)
    first, last = min(messages.by_stamp, default=0), max(messages.by_stamp, default=-1)
    kept = [(sample, stamp) for sample, stamp in zip(samples, stamps, strict=True) if first <= stamp <= last]
    answers = [messages.by_stamp.get(stamp) for _, stamp in kept]
    chosen = [
        answer if answer is not None and _timing(answer).published <= stamp + longest else None
        for answer, (_, stamp) in zip(answers, kept, strict=True)
    ]
    left = [sample for sample, _ in kept]
    return _judged(published, left, chosen, f"own answer within {1000 * deadline:g} ms"), left


def of_size_seen(published: Predictions, samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """The samples but those that are annotated at another size than the node saw that very image at.

    Returns:
        The samples, and a line for each that is left out.
    """
    seen = {image.stamp: image.size for image in reversed(published.images)}
    fit, left_out = [], []
    for sample in samples:
        size = seen.get(sample.stamp)
        if size is None or tuple(size) == tuple(sample.size):
            fit.append(sample)
        else:
            left_out.append(_other_size(sample, size))
    return fit, left_out


def ages(judged: Predictions, samples: Sequence[Sample], deadline: float) -> Floats:
    """[N] seconds by which the answer was old: from the stamp of the judged message to that of the sample + deadline.

    Args:
        judged: of ``streaming`` with the same samples and deadline.

    Returns:
        NaN where nothing was judged. Never negative on one clock.
    """
    due = [(sample.stamp or 0) + _nanoseconds(deadline) for sample in samples]
    return np.array(
        [
            np.nan if image.stamp is None else (end - image.stamp) / 1e9
            for end, image in zip(due, judged.images, strict=True)
        ]
    )


def point(deadline: float, judged: Predictions, dataset: Dataset, any_box_kind: bool = False) -> Point:
    """OER and PD of what ``streaming`` gave at a deadline, of one bag or of several.

    Args:
        deadline: seconds.
        judged, dataset: with the same labels, see ``predict.relabel``.
        any_box_kind: as of ``joined.join``.

    Raises:
        MetricsError: as ``joined.join``.
    """
    known = join(dataset.samples, judged, any_box_kind=any_box_kind)
    return Point.of(deadline, oer(known), pd(known))


def account(
    published: Predictions,
    samples: Sequence[Sample],
    image_stamps: Sequence[int],
    deadline: float,
    counted: Counted | None = None,
) -> Account:
    """What became of each frame, and how many the node counts as dropped.

    Args:
        published, samples, deadline: as of ``streaming``.
        image_stamps: header stamps of all images on the topic in the bag, in any order.
        counted: by the node's status, where it is recorded.

    Raises:
        MetricsError: as ``streaming``.
    """
    messages = _Messages(published)
    wanted = _stamps(samples, messages).tolist()
    images = {stamp for stamp in image_stamps if stamp > 0}
    longest = _nanoseconds(deadline)
    fates = {
        stamp: Fate.IN_TIME if _timing(image).published <= stamp + longest else Fate.LATE
        for stamp, image in messages.by_stamp.items()
    }
    answered, silent = sorted(fates), sorted(images - fates.keys())
    fates.update(dict.fromkeys(silent, Fate.UNANSWERED))
    found = tuple(fates.get(stamp, Fate.UNANSWERED) for stamp in wanted)
    told = sum(_timing(image).drops for image in messages.images)
    drops = max(told, counted.dropped) if counted else told
    known = drops + (counted.rejected if counted else 0)
    strange = len(messages.by_stamp.keys() - images)
    other_camera = (
        f"{WARNING}: {strange} of {len(messages.by_stamp)} messages are about no image of this topic in the bag: did "
        "the node listen to another camera? Choose the topic of the images that it saw."
    )
    return Account(
        deadline=deadline,
        fates=found,
        image_missing=tuple(stamp in messages.by_stamp and stamp not in images for stamp in wanted),
        annotated=Fates.count(found),
        frames=Fates.count(fates.values()),
        drops=drops,
        rejected=counted.rejected if counted else None,
        unexplained=max(0, len(silent) - known),
        images_missing=strange,
        images_lost=max(0, known - len(silent)),
        before_first=bisect_left(silent, answered[0]) if answered else 0,
        after_last=len(silent) - bisect_right(silent, answered[-1]) if answered else len(silent),
        notes=(
            *((other_camera,) if 2 * strange > len(messages.by_stamp) else ()),
            *_message_notes(published, messages),
            *_image_notes(image_stamps),
        ),
    )


# --- Messages and samples --------------------------------------------------------------------------------------------


class _Messages:
    """The messages that say of which image they are, each image's first, in the order of publishing.

    Raises:
        MetricsError: a message without the time of its publishing.
    """

    def __init__(self, published: Predictions) -> None:
        for image in published.images:
            if image.timing is None or image.timing.published <= 0:
                raise MetricsError(f"{image.image_id}: does not say when it was published: is it of a node's message?")
        ordered = sorted(published.images, key=lambda image: _timing(image).published)
        self.by_stamp: dict[int, ImagePrediction] = {}
        for image in ordered:
            if image.stamp:
                self.by_stamp.setdefault(image.stamp, image)
        self.images = list(self.by_stamp.values())
        self.times: NDArray[np.int64] = np.array([_timing(image).published for image in self.images], np.int64)


def _timing(image: ImagePrediction) -> Timing:
    assert image.timing is not None
    return image.timing


def _nanoseconds(deadline: float) -> int:
    """Convert a deadline in seconds to nanoseconds, at most 146 years, so that sums with stamps do not overflow."""
    if not deadline >= 0:
        raise MetricsError(f"a deadline of {deadline:g} s: 0 or more is expected")
    return round(min(deadline * 1e9, 2.0**62))


def _stamps(samples: Sequence[Sample], messages: _Messages) -> NDArray[np.int64]:
    """Stamps of the samples. Raises MetricsError unless each has its own, and the size that the node saw."""
    seen: dict[int, str] = {}
    for sample in samples:
        if not sample.stamp:
            raise MetricsError(f"{sample.image_id}: annotated without a stamp, so nothing published belongs to it")
        if sample.stamp in seen:
            raise MetricsError(
                f"{sample.image_id}: has the stamp of {seen[sample.stamp]}; evaluate one camera at a time, each image "
                "once"
            )
        seen[sample.stamp] = sample.image_id
        message = messages.by_stamp.get(sample.stamp)
        if message is not None and tuple(message.size) != tuple(sample.size):
            raise MetricsError(_other_size(sample, message.size))
    return np.array(list(seen), np.int64)


def _other_size(sample: Sample, seen: tuple[int, int]) -> str:
    return (
        f"{sample.image_id}: annotated at {_size(sample.size)}, but the node saw this image at {_size(seen)}: annotate "
        "the images of the topic that the node listens to"
    )


def _size(size: tuple[int, int]) -> str:
    height, width = size
    return f"{width}×{height}"


def _judged(
    published: Predictions, samples: Sequence[Sample], chosen: Sequence[ImagePrediction | None], manner: str
) -> Predictions:
    header = published.header
    images = [
        _nobody(sample, len(header.labels))
        if message is None or tuple(message.size) != tuple(sample.size)
        else replace(message, image_id=sample.image_id)
        for sample, message in zip(samples, chosen, strict=True)
    ]
    return Predictions(replace(header, source=f"{header.source}, {manner}"), images)


def _nobody(sample: Sample, labels: int) -> ImagePrediction:
    none = np.empty((0, labels), np.float32)
    return ImagePrediction(
        image_id=sample.image_id,
        size=sample.size,
        boxes=np.empty((0, 4), np.float32),
        scores=np.empty(0, np.float32),
        emotions=none,
        tracked=Tracked((), np.empty(0, bool), none, np.empty(0, np.intp)),
    )


def _message_notes(published: Predictions, messages: _Messages) -> Iterable[str]:
    unstamped = sum(not image.stamp for image in published.images)
    if unstamped:
        yield f"{unstamped} messages without a stamp are left out: the camera's driver sets none."
    if repeated := len(published.images) - unstamped - len(messages.images):
        yield (
            f"{repeated} messages are about an image that was answered before (a bag played again, or two nodes on "
            "one topic): the first published counts."
        )
    sizes = Counter(image.size for image in messages.images)
    if len(sizes) > 1:
        told = ", ".join(f"{width}×{height}: {count}" for (height, width), count in sizes.most_common())
        yield f"The messages are about images of several sizes ({told}): an answer of another size counts as none."


def _image_notes(stamps: Sequence[int]) -> Iterable[str]:
    if unstamped := sum(stamp <= 0 for stamp in stamps):
        yield f"{unstamped} images in the bag have no stamp; they are not counted."
    if repeated := len(stamps) - unstamped - len({stamp for stamp in stamps if stamp > 0}):
        yield f"{repeated} images in the bag repeat the stamp of another one; they are counted once."
