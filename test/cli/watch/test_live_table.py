"""What the table says about real messages, rendered to text."""

import io

import pytest
from rich.console import Console

from caer_ros.cli.watch.live_table import STATE_WORDS, STATUS_WORDS, TRACK_WORDS, bar, view
from caer_ros.msg import PerceptionStatus, PersonEmotion, PersonEmotionArray
from caer_ros.perception.person import EmotionStatus, TrackState

NAN = float("nan")


def text(*arguments):
    console = Console(width=160, color_system=None, file=io.StringIO())
    console.print(view(*arguments))
    return console.file.getvalue()


def person(**fields):
    return PersonEmotion(
        **{
            "track_id": "4f2a-1",
            "track_state": PersonEmotion.TRACK_TRACKED,
            "track_age": 3.25,
            "x_min": 10.0,
            "y_min": 20.0,
            "x_max": 110.0,
            "y_max": 220.0,
            "detection_confidence": 0.87,
            "emotion_status": PersonEmotion.EMOTION_OK,
            "top_index": 1,
            "top_label": "Happiness",
            "top_score": 0.5,
            **fields,
        }
    )


def message(*persons, **fields):
    return PersonEmotionArray(
        persons=list(persons), image_width=640, image_height=480, processing_time=0.041, inference_time=0.035, **fields
    )


def status(**fields):
    return PerceptionStatus(
        **{
            "state": PerceptionStatus.ACTIVE,
            "input_topic": "/camera/image_raw",
            "input_rate": 10.0,
            "output_rate": 9.5,
            "latency_p50": 0.045,
            "latency_p95": NAN,
            "images_received": 120,
            "images_rejected": 2,
            "mailbox_drops": 3,
            "provider": "CPUExecutionProvider",
            "model_id": "bootstrap",
            "model_version": "0123456789abcdef",
            **fields,
        }
    )


def test_a_person_has_id_state_age_box_and_emotion_with_its_bar():
    row = next(line for line in text(message(person()), None).splitlines() if "4f2a-1" in line)
    for part in ("tracked", "3.2 s", "0.87", "10,20 100×200", "Happiness", "██████░░░░░░ 0.50"):
        assert part in row


@pytest.mark.parametrize("emotion_status", [s for s in EmotionStatus if s != EmotionStatus.OK])
def test_without_an_emotion_the_reason_stands_in_words_and_no_label(emotion_status):
    shown = text(message(person(emotion_status=int(emotion_status), top_label="", top_index=-1, top_score=NAN)), None)
    assert STATUS_WORDS[emotion_status] in shown
    assert "█" not in shown


def test_every_state_has_a_word():
    assert set(STATUS_WORDS) == set(EmotionStatus)
    assert set(TRACK_WORDS) == set(TrackState)
    names = ("INACTIVE", "ACTIVE", "PAUSED", "NO_CAMERA", "FAULT")
    assert {getattr(PerceptionStatus, name): name.replace("_", " ") for name in names} == {
        value: word for value, (word, _) in STATE_WORDS.items()
    }


def test_an_untracked_person_has_neither_id_nor_age():
    shown = text(message(person(track_id="", track_state=PersonEmotion.TRACK_UNTRACKED)), None)
    assert "untracked" in shown
    assert "3.2 s" not in shown


def test_nobody_is_said_and_so_is_silence():
    assert "nobody in view" in text(message(), None)
    assert "no message yet" in text(None, None)
    assert "1 person " in text(message(person()), None)
    assert "2 persons " in text(message(person(), person()), None)


def test_the_status_shows_model_rates_latency_and_drops():
    shown = text(message(), status(), 9.4)
    for part in (
        "ACTIVE  /camera/image_raw",
        "bootstrap 0123456789abcdef on CPUExecutionProvider",
        "in 10.0/s  out 9.5/s  latency 45 ms (95 %: —)  images 120  dropped 3  rejected 2",
        "640×480  41 ms in the node, 35 ms in the model  9.4 messages/s here",
    ):
        assert part in shown


def test_what_is_wrong_is_said():
    shown = text(None, status(state=PerceptionStatus.NO_CAMERA, reason="no image for 5 s on /camera/image_raw"))
    assert "NO CAMERA" in shown
    assert "no image for 5 s" in shown
    assert "last error: bad JPEG" in text(None, status(last_error="bad JPEG"))
    assert "no model loaded" in text(None, status(model_id=""))
    assert "list of persons is full" in text(message(saturated=True), None)


def test_the_age_of_a_message_counts_from_its_stamp_where_it_has_one():
    stamped = message()
    assert "after its stamp" not in text(stamped, None)
    stamped.header.stamp.sec, stamped.published.sec, stamped.published.nanosec = 5, 5, 70_000_000
    assert "published 70 ms after its stamp" in text(stamped, None)


@pytest.mark.parametrize(("score", "filled"), [(0.0, 0), (0.5, 2), (1.0, 4), (NAN, 0), (7.0, 4), (-1.0, 0)])
def test_bars_keep_their_width(score, filled):
    assert bar(score, 4) == "█" * filled + "░" * (4 - filled)
