"""A bag in which every error was planted: the report has to give the figures that were computed by hand.

Twenty images at 10 Hz. Two people stand still, A on the left, B on the right, both annotated in every image. A is Happy
in images 0-9 and Sad from 10 on, B is Neutral throughout. The node answers 80 ms after the stamp, except:

- image 2: A's box is shifted by half its width (IoU 1/3): a miss, and a box around nobody;
- image 4: dropped by the node, which counts it in its next message;
- image 5: the emotions of A and B are swapped;
- image 7: the node's message is lost;
- images 10, 11: A's change has not been noticed yet;
- image 12: the answer comes 350 ms after the stamp;
- image 15: the recorder lost the image, not the message, so its annotation belongs to no image of the bag;
- images 16, 17: B is missed;
- images 18, 19: a person who is not there.

Judged 100 ms after each stamp, an image is judged by its own message, or where that is missing by the one before.
"""

import json

import numpy as np
import pytest
from bag_files import image, write_bag
from hand_made_run import LEFT, MIDDLE, RIGHT, message, person, stamp_of

from caer_ros.cli import command_line
from caer_ros.msg import PersonEmotionArray
from caer_ros.recordings.definitions import TRUTH_TOPIC

CAMERA, EMOTIONS = "/camera/image_raw", "/emotion/emotions"
SHIFTED = (LEFT[0] + 50, LEFT[1], LEFT[2] + 50, LEFT[3])
SOFTMAX = {"score_type": PersonEmotionArray.SCORE_SOFTMAX, "model_id": "planted", "model_version": "0123456789abcdef"}


def feels(index):
    """What A truly feels."""
    return "Happy" if index < 10 else "Sad"


def answer(index):
    """What the node says about an image; None: nothing."""
    if index in (4, 7):
        return None
    left = ("Neutral" if index == 5 else "Happy") if index < 12 else "Sad"
    persons = [person(1, SHIFTED if index == 2 else LEFT, left)]
    if index not in (16, 17):
        persons.append(person(2, RIGHT, "Happy" if index == 5 else "Neutral"))
    if index in (18, 19):
        persons.append(person(3, MIDDLE, "Sad"))
    delay = 350 if index == 12 else 80
    drops = {"mailbox_drops": 1} if index == 5 else {}
    return message(index, *persons, delay_ns=delay * 10**6, **drops, **SOFTMAX)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    grey = np.full((480, 640, 3), 128, np.uint8)
    recorded = []
    for index in range(20):
        stamp = stamp_of(index)
        if index != 15:
            recorded.append((CAMERA, stamp, image(grey, stamp)))
        people = (person(1, LEFT, feels(index)), person(2, RIGHT, "Neutral"))
        for one in people:  # a truth is certain
            one.scores = [float(score > 0.5) for score in one.scores]
        recorded.append((TRUTH_TOPIC, stamp, message(index, *people, **SOFTMAX)))
        if said := answer(index):
            recorded.append((EMOTIONS, stamp + (350 if index == 12 else 80) * 10**6, said))
    return write_bag(tmp_path_factory.mktemp("planted") / "bag", sorted(recorded, key=lambda one: one[1]))


@pytest.fixture(scope="module")
def result(bag, tmp_path_factory):
    output = tmp_path_factory.mktemp("planted") / "result"
    command = ["evaluate", "bag", str(bag), "--recorded", "--deadline", "0.1", "--no-images", "--output", str(output)]
    assert command_line.main(command) == 0
    return json.loads((output / "metrics.json").read_text())


# Every person's score of a label is 0.8 (said), 0.1 (not said) or 0 (missed), so each AP has three steps.
# 19 images are judged, 38 persons. A and B are missed by: A in 2, B in 16 and 17.


def test_oer_is_the_one_computed_by_hand(result):
    # Happy: positives are A in 0-9. At 0.8 stand 8 of them (not 2, missed; not 5, swapped), and, wrongly, A in 10, 11
    # and 12 (judged by 11's message) and B in 5. At 0.1 stand A in 5 and everybody else who was found: 35 in all.
    happy = 8 / 10 * 8 / 12 + 1 / 10 * 9 / 35 + 1 / 10 * 10 / 38
    # Sad: positives are A in 10-19 without 15. At 0.8: 13, 14, 16-19, and nobody wrongly. At 0.1: the other 3.
    sad = 6 / 9 + 3 / 9 * 9 / 35
    # Neutral: positives are B in 19 images. At 0.8 stand 16 (not 5, 16, 17), and A in 5 wrongly.
    neutral = 16 / 19 * 16 / 17 + 1 / 19 * 17 / 35 + 2 / 19 * 19 / 38
    oer = result["evaluation"]["oer"]
    assert oer["persons"] == 38
    assert oer["average_precision"] == pytest.approx([happy, neutral, sad], abs=1e-12)
    assert oer["mean_average_precision"] == pytest.approx((happy + sad + neutral) / 3, abs=1e-12)
    assert oer["chance"] == pytest.approx((10 + 9 + 19) / 3 / 38)


def test_strict_misses_everybody_in_frames_without_an_answer_in_time(result):
    # 19 images. Of 38 persons both are missed in 4 (dropped), 7 (lost) and 12 (late), A in 2, B in 16 and 17.
    strict, found = result["strict"]["oer"], 38 - 6 - 3
    assert strict["persons"] == 38
    assert strict["found"] == pytest.approx([found / 38] * 10)
    # Happy: positives are A in 0-9. At 0.8 stand 0, 1, 3, 6, 8, 9, and wrongly A in 10, 11 and B in 5; at 0.1 stands 5,
    # with all others who were found; at 0 stand 2, 4 and 7.
    happy = 6 / 10 * 6 / 9 + 1 / 10 * 7 / found + 3 / 10 * 10 / 38
    # Sad: positives are A in 10-14 and 16-19. At 0.8 stand 13, 14, 16-19; at 0.1 stand 10 and 11; at 0 stands 12.
    sad = 6 / 9 + 2 / 9 * 8 / found + 1 / 9 * 9 / 38
    # Neutral: positives are B in 19 images. At 0.8 stand 13 (not 4, 5, 7, 12, 16, 17) and wrongly A in 5; at 0.1 stands
    # 5; at 0 stand 5.
    neutral = 13 / 19 * 13 / 14 + 1 / 19 * 14 / found + 5 / 19 * 19 / 38
    assert strict["average_precision"] == pytest.approx([happy, neutral, sad], abs=1e-12)


def test_every_frame_has_the_fate_that_was_planted(result):
    account = result["account"]
    assert account["annotated"] == {"in_time": 16, "late": 1, "unanswered": 2}
    assert account["frames"] == {"in_time": 17, "late": 1, "unanswered": 2}  # with 15
    stamps = [index for index in range(20) if index != 15]
    fates = dict(zip(stamps, account["fates"], strict=True))
    others = {index: fate for index, fate in fates.items() if fate != "in_time"}
    assert others == {4: "unanswered", 7: "unanswered", 12: "late"}
    assert (account["drops"], account["rejected"], account["unexplained"]) == (1, None, 1)
    assert (account["images_missing"], account["images_lost"]) == (1, 0)
    assert any("not in the bag" in line and str(stamp_of(15)) in line for line in result["left_out"])


def test_latency_is_that_of_the_messages(result):
    latency = result["timing"]["latency"]
    assert len(latency["values"]) == 18
    assert latency["median"] == pytest.approx(0.08)
    assert latency["max"] == pytest.approx(0.35)


def test_who_is_not_there_is_counted_once_a_minute(result):
    # One track in 18 and 19, none of whose boxes is ever anybody's, in 1.9 s and one period. The shifted box of image 2
    # is a false detection, but A's track.
    false = result["false_persons"]
    assert (false["persons"], false["detections"]) == (1, 3)
    assert false["per_minute"] == pytest.approx(60 / 2.0)


def test_flicker_and_delay_are_what_a_listener_felt(result):
    # A and B each say something else in 5 and go back in 6. A's change of 10 is told in 13: 12's own answer was late.
    stability = result["stability"]
    assert stability["flickers"] == 4
    assert stability["flicker_per_minute"] == pytest.approx(4 / (2 * 1.9 / 60))
    assert (stability["changes"], stability["never"]) == (1, 0)
    assert stability["delays"] == pytest.approx([0.3])
    # Of 3.8 s: wrong are A in 5, 10, 11, 12 and B in 5; missed are A in 2 and B in 16, 17; each stands for 0.1 s.
    assert stability["wrong"] == pytest.approx(0.5 / 3.8)
    assert stability["without"] == pytest.approx(0.3 / 3.8)


def test_tracks_are_followed_as_far_as_they_were(result):
    # 38 persons, 38 boxes. From an IoU of 0.35 on A's shifted box of 2 is no match: 35 are, else 36.
    # A is one of 19 annotated and 19 published boxes, B of 19 and 17.
    low = (36 / 40, (19 * 19 / 19 + 17 * 17 / 19) / 36)
    high = (35 / 41, (18 * 18 / 20 + 17 * 17 / 19) / 35)
    tracking = result["tracking"]
    assert tracking["hota"] == pytest.approx((6 * np.sqrt(np.prod(low)) + 13 * np.sqrt(np.prod(high))) / 19)
    assert tracking["idf1"] == pytest.approx(2 * 35 / (38 + 38))
    assert (tracking["switches"], tracking["tracks"], tracking["published_tracks"]) == (0, 2, 3)


def test_the_curve_passes_through_the_headline(result):
    points = {point["deadline"]: point for point in result["curve"]}
    assert points[0.1]["oer"] == pytest.approx(result["evaluation"]["oer"]["mean_average_precision"])
    assert points[0.1]["found"] == pytest.approx(35 / 38)
    # After 50 ms only the answer before is there, and for image 0 none: A and B are missed in it, A in 3 instead of 2.
    # B's misses of 16, 17 are felt in 17, 18; A's shifted box in 3, and 5 is judged by 3's.
    assert points[0.05]["found"] == pytest.approx((38 - 2 - 1 - 2) / 38)
