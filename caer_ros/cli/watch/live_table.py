"""What a node says, as a rich table: messages in, something to print out. `caer watch` and `caer demo` show it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from caer_ros.perception.person import EmotionStatus, TrackState
from caer_ros.recordings.stamps import nanoseconds

if TYPE_CHECKING:
    from caer_ros.msg import PerceptionStatus, PersonEmotion, PersonEmotionArray

BAR_WIDTH = 12

STATUS_WORDS = {
    EmotionStatus.NOT_PREDICTED: "not predicted",
    EmotionStatus.OK: "ok",
    EmotionStatus.UNCERTAIN: "uncertain",
    EmotionStatus.NO_FACE: "no face found",
    EmotionStatus.TOO_SMALL: "face too small",
    EmotionStatus.PROFILE_OR_OCCLUDED: "face turned away or hidden",
}
TRACK_WORDS = {
    TrackState.UNTRACKED: "untracked",
    TrackState.NEW: "new",
    TrackState.TRACKED: "tracked",
    TrackState.COASTED: "lost from sight",
}
STATE_WORDS = {
    0: ("INACTIVE", "yellow"),
    1: ("ACTIVE", "green"),
    2: ("PAUSED", "yellow"),
    3: ("NO CAMERA", "red"),
    4: ("FAULT", "red"),
}
"""PerceptionStatus.state in words, and the colour of that."""


def view(message: PersonEmotionArray | None, status: PerceptionStatus | None, rate: float | None = None) -> Group:
    """Everything: state and speed of the node, and the persons of the last message.

    Args:
        message: The last message; None before the first.
        status: The last status; None before the first.
        rate: Messages per second as counted by the receiver; None leaves it out.
    """
    lines = [] if status is None else status_lines(status)
    if message is None:
        return Group(*lines, Text("no message yet", style="dim"))
    return Group(*lines, image_line(message, rate), persons_table(message))


def status_lines(status: PerceptionStatus) -> list[Text]:
    """State and camera, model, rates and drops, and what went wrong if anything did; short lines for narrow screens."""
    word, colour = STATE_WORDS.get(status.state, (f"state {status.state}", "red"))
    model = f"{status.model_id} {status.model_version} on {status.provider}" if status.model_id else "no model loaded"
    rejected = f"  rejected {status.images_rejected}" if status.images_rejected else ""
    speed = (
        f"in {_number(status.input_rate, '.1f')}/s  out {_number(status.output_rate, '.1f')}/s  "
        f"latency {_milliseconds(status.latency_p50)} (95 %: {_milliseconds(status.latency_p95)})  "
        f"images {status.images_received}  dropped {status.mailbox_drops}{rejected}"
    )
    lines = [Text.assemble((f"● {word}", f"bold {colour}"), f"  {status.input_topic}"), Text(model), Text(speed)]
    if status.reason:
        lines.append(Text(status.reason, style=colour))
    elif status.last_error:
        lines.append(Text(f"last error: {status.last_error}", style="dim"))
    return lines


def image_line(message: PersonEmotionArray, rate: float | None = None) -> Text:
    """Size, age and cost of the last image, and whether it may have held more persons."""
    parts = [
        f"{message.image_width}×{message.image_height}",
        f"{_milliseconds(message.processing_time)} in the node, {_milliseconds(message.inference_time)} in the model",
    ]
    if message.header.stamp.sec or message.header.stamp.nanosec:
        age = (nanoseconds(message.published) - nanoseconds(message.header.stamp)) * 1e-9
        parts.append(f"published {_milliseconds(age)} after its stamp")
    if rate is not None:
        parts.append(f"{rate:.1f} messages/s here")
    line = Text("  ".join(parts))
    if message.saturated:
        line.append("  the model's list of persons is full", style="yellow")
    return line


def persons_table(message: PersonEmotionArray) -> Table:
    """One row a person, in the order of the message."""
    people = len(message.persons)
    caption = None if people else "nobody in view"
    table = Table(title="1 person" if people == 1 else f"{people} persons", title_justify="left", caption=caption)
    for name in ("id", "track", "age", "sure", "box", "apparent emotion"):
        table.add_column(name, justify="right" if name in ("age", "sure") else "left", no_wrap=name != "box")
    for person in message.persons:
        table.add_row(*_cells(person))
    return table


def bar(score: float, width: int = BAR_WIDTH) -> str:
    """A score 0..1 as a bar of ``width`` characters; empty for NaN."""
    filled = 0 if math.isnan(score) else round(min(max(score, 0.0), 1.0) * width)
    return "█" * filled + "░" * (width - filled)


def _cells(person: PersonEmotion) -> tuple[str | Text, ...]:
    return (
        person.track_id or "—",
        TRACK_WORDS.get(person.track_state, str(person.track_state)),
        f"{person.track_age:.1f} s" if person.track_id else "—",
        f"{person.detection_confidence:.2f}",
        f"{person.x_min:.0f},{person.y_min:.0f} {person.x_max - person.x_min:.0f}×{person.y_max - person.y_min:.0f}",
        _emotion(person),
    )


def _emotion(person: PersonEmotion) -> Text:
    if person.emotion_status == EmotionStatus.OK:
        return Text.assemble((f"{person.top_label:<11} ", "bold"), bar(person.top_score), f" {person.top_score:.2f}")
    return Text(STATUS_WORDS.get(person.emotion_status, str(person.emotion_status)), style="dim")


def _number(value: float, form: str) -> str:
    return "—" if math.isnan(value) else format(value, form)


def _milliseconds(seconds: float) -> str:
    return "—" if math.isnan(seconds) else f"{seconds * 1e3:.0f} ms"
