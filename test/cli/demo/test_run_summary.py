"""What a run is said to have said, from messages and a ground truth made by hand; and the page about it."""

import json
import math
import re
from html.parser import HTMLParser

import pytest
from hand_made_run import LEFT, MIDDLE, RIGHT, message, person, true, truth

from caer_ros.cli.demo import run_summary
from caer_ros.cli.demo.accuracy import Accuracy
from caer_ros.cli.demo.demo_page import Page, Photo, accounting, html, identities, word_colours
from caer_ros.cli.demo.run_summary import Span
from caer_ros.msg import PerceptionStatus, PersonEmotion

COASTED = PersonEmotion.TRACK_COASTED


def people(messages, known=None):
    seen = run_summary.sightings(messages, known)
    return {subject.name: subject for subject in run_summary.subjects(messages, known, seen)}


# --- Who is who ---


def test_each_detection_belongs_to_the_person_it_overlaps_most():
    slightly_off = (14.0, 12.0, 114.0, 214.0)
    known = truth((true("ann"), true("ben", RIGHT)))
    found = people([message(0, person(2, RIGHT, "Sad"), person(1, slightly_off))], known)
    assert (found["ann"].tracks, found["ann"].label) == (("4f2a-1",), "Happy")
    assert (found["ben"].tracks, found["ben"].label) == (("4f2a-2",), "Sad")


def test_a_detection_of_nobody_and_a_coasting_box_are_no_sightings():
    known = truth((true("ann"),), (true("ann"),))
    found = people([message(0, person(1, RIGHT)), message(1, person(1, track_state=COASTED))], known)
    assert (found["ann"].demanded, found["ann"].found, found["ann"].spans) == (2, 0, ())
    assert (found["ann"].status, found["ann"].label, found["ann"].tracks) == ("", "", ())


def test_only_processed_images_in_which_they_had_to_be_found_count():
    known = truth((true("ann"),), (true("ann", visible=0.3, ignore=True),), (true("ann"),), (true("ann"),))
    found = people([message(0, person(1)), message(1, person(1)), message(3)], known)
    assert (found["ann"].demanded, found["ann"].found) == (2, 1)
    assert sum(found["ann"].statuses.values()) == 2  # what was said of them counts nevertheless


def test_a_track_is_listed_with_whom_it_mostly_showed():
    both = (true("ann"), true("ben", RIGHT))
    known = truth(both, both, both)
    messages = [
        message(0, person(1), person(2, RIGHT)),
        message(1, person(1), person(2, RIGHT)),
        message(2, person(2), person(3, RIGHT)),  # ben's track jumps over to ann
    ]
    found = people(messages, known)
    assert (found["ann"].tracks, found["ann"].borrowed) == (("4f2a-1",), ("4f2a-2",))
    assert (found["ben"].tracks, found["ben"].borrowed) == (("4f2a-2", "4f2a-3"), ())
    assert identities(found["ann"]) == "#1 (also #2)"
    assert identities(found["ben"]) == "#2, #3"


def test_people_come_in_the_order_of_the_ground_truth_also_those_never_seen():
    known = truth((true("ben", RIGHT), true("ann")), ann={}, ben={}, eve={})
    assert list(people([message(0, person(1))], known)) == ["ann", "ben"]


def test_without_ground_truth_each_track_is_somebody():
    found = people([message(0, person(2, RIGHT), person(1)), message(1, person(1)), message(2, person(0, track_id=""))])
    assert [(s.name, s.tracks, s.demanded, s.found) for s in found.values()] == [
        ("4f2a-2", ("4f2a-2",), None, 1),
        ("4f2a-1", ("4f2a-1",), None, 2),
    ]


def test_no_messages_are_nobody():
    assert people([], truth((true("ann"),))) == {}


# --- What was said of them ---


def test_scores_are_the_mean_of_the_raw_ones_where_a_face_could_be_read():
    uncertain = person(1, label="Sad", emotion_status=PersonEmotion.EMOTION_UNCERTAIN, smoothed_scores=[0.0, 0.0, 0.0])
    found = people([message(0, person(1)), message(1, uncertain), message(2, person(1, label=""))])["4f2a-1"]
    assert found.scores == pytest.approx({"Happy": 0.45, "Neutral": 0.1, "Sad": 0.45})
    assert found.statuses == {"OK": 1, "UNCERTAIN": 1, "NO_FACE": 1}
    assert found.labels == {"Happy": 1}


def test_who_was_never_read_has_no_scores():
    assert people([message(0, person(1, label=""))])["4f2a-1"].scores == {}


def test_what_was_said_over_time():
    quiet = message(3)  # gone for a moment
    messages = [message(0, person(1)), message(2, person(1)), quiet, message(4, person(1, label="Sad"))]
    messages += [message(30, person(1, label="Sad"))]  # and for long
    found = people(messages)["4f2a-1"]
    assert found.spans == (Span(0.0, 0.3, "Happy"), Span(0.4, 1.4, "Sad"), Span(3.0, 3.15, "Sad"))
    assert found.seconds == pytest.approx(1.45)


def test_a_message_holds_until_the_next_one_but_not_for_long():
    found = people([message(0, person(1)), message(50)])["4f2a-1"]
    assert found.spans == (Span(0.0, run_summary.LONGEST_GAP_S, "Happy"),)


def test_the_strip_shows_what_was_said_most_in_each_piece_of_time():
    profile = person(1, label="", emotion_status=PersonEmotion.EMOTION_PROFILE_OR_OCCLUDED)
    sayings = [person(1)] * 6 + [person(1, label="Sad")] * 4 + [profile] * 5
    messages = [message(index, said) for index, said in enumerate(sayings)] + [message(15), message(16)]
    subject = people(messages)["4f2a-1"]
    letters = run_summary.letters([subject])
    assert letters == {"Happy": "H", "Sad": "S", "PROFILE_OR_OCCLUDED": "/"}
    assert run_summary.strip(subject, 2.0, 4, letters) == "HS/·"


def test_labels_that_start_alike_get_different_letters():
    messages = [message(0, person(1, label="Sad"), person(2, RIGHT, top_label="Surprise"), person(3, top_label="Su"))]
    letters = run_summary.letters(people(messages).values())
    assert letters["Sad"] == "S"
    assert len(set(letters.values())) == 3


# --- What was expected ---


def run_of(*persons):
    images = len(persons)
    known = truth(*[(true("ann"),)] * images, ann={"status": "OK", "emotion": "Happy"})
    return [message(i, *([said] if said else [])) for i, said in enumerate(persons)], known


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([person(1)] * 7 + [person(1, label="")] * 5, None),
        ([None] * 12, r"ann was not found in any of 12 images"),
        ([person(1)] * 5 + [person(1, label="")] * 7, r"ann was mostly NO_FACE, not OK \(NO_FACE 7×, OK 5×\)"),
        ([person(1, label="Sad")] * 12, r"ann was mostly Sad, not Happy \(Sad 12×\)"),
        ([None] * (run_summary.DEMANDED_IMAGES - 1), None),
    ],
    ids=["as expected", "never found", "another status", "another label", "too few images"],
)
def test_what_was_expected_and_did_not_come_is_said(said, problem):
    messages, known = run_of(*said)
    problems = run_summary.unmet(people(messages, known).values(), known.info["persons"])
    assert len(problems) == (problem is not None)
    if problem:
        assert re.fullmatch(problem, problems[0])


def test_any_emotion_will_do_where_none_is_expected():
    messages, known = run_of(*[person(1, label="Sad")] * 12)
    assert not run_summary.unmet(people(messages, known).values(), {"ann": {"status": "OK", "emotion": ""}})


# --- How fast ---


def test_times_are_told_apart_and_the_clock_s_pace_is_taken_out():
    messages = [message(i, delay_ns=100_000_000 * (i + 1)) for i in range(3)]
    status = PerceptionStatus(images_received=9, images_rejected=1, mailbox_drops=4)
    speed = run_summary.speed(messages, status, sent=10, seconds=2.0, rate=2.0)
    assert speed.latency == pytest.approx((0.1, 0.145))
    assert speed.processing == pytest.approx((0.08, 0.08))
    assert speed.inference == pytest.approx((0.05, 0.05))
    assert (speed.lost, speed.rate) == (1, 1.5)
    assert accounting(speed) == (
        "10 images sent in 2.0 s: 3 processed; 4 dropped by design (the node was busy, and a newer one came); "
        "1 rejected; 1 lost on the way to the node; 1 not accounted for."
    )


def test_no_messages_have_no_times():
    speed = run_summary.speed([], PerceptionStatus(), sent=0, seconds=0.0, rate=1.0)
    assert all(math.isnan(value) for value in (*speed.latency, *speed.processing, speed.rate))
    assert json.loads(json.dumps(run_summary.as_json(speed), allow_nan=False))["latency"] == {"p50": None, "p95": None}


# --- The page ---


class Links(HTMLParser):
    """Checks that tags are closed, and collects what the page refers to."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.tags = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "poster")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(**fields):
    known = truth(*[(true("ann"), true("<b>en", RIGHT))] * 3)
    messages = [message(i, person(1), person(2, RIGHT, label="")) for i in range(3)]
    status = PerceptionStatus(images_received=3)
    given = {
        "title": "demo",
        "problems": [],
        "people": list(people(messages, known).values()),
        "seconds": 0.3,
        "result": Accuracy(3, 0, 6, 6, 0, 0, 0, 6, 2, 2),
        "speed": run_summary.speed(messages, status, 3, 0.3, 1.0),
        "photos": [Photo("ann & co", b"\xff\xd8", "pictures/ann.jpg", "ann", b"\xff\xd8\xff")],
        "video": "video.webm",
        "poster": "pictures/ann.jpg",
        "playable": True,
        "facts": {"Model": {"name": "boot<strap"}},
        "files": {"messages": "a bag"},
    }
    return html(Page(**{**given, **fields}))


def test_the_page_needs_nothing_but_the_files_beside_it():
    links = Links(page())
    assert [link for link in links.links if not link.startswith("data:image/jpeg;base64,")] == [
        "video.webm",
        "pictures/ann.jpg",
        "pictures/ann.jpg",
        "messages",
    ]
    assert "script" not in links.tags
    assert "://" not in page()


def test_the_page_escapes_what_it_is_given():
    text = page()
    assert "&lt;b&gt;en" in text
    assert "boot&lt;strap" in text
    assert "ann &amp; co" in text


def test_the_page_says_what_went_wrong():
    assert "as the ground truth has it" in page()
    failed = page(problems=["ann was <not> found"])
    Links(failed)
    assert "ann was &lt;not&gt; found" in failed
    assert "as the ground truth has it" not in failed


@pytest.mark.parametrize(
    "fields",
    [
        {"people": [], "photos": [], "result": None},
        {"video": "", "playable": False},
        {"video": "video.mp4", "playable": False},
        {"speed": run_summary.speed([], PerceptionStatus(), 0, 0.0, 1.0), "seconds": 0.0},
    ],
    ids=["nobody", "no video", "video for players", "nothing"],
)
def test_the_page_is_whole_whatever_is_missing(fields):
    text = page(**fields)
    links = Links(text)
    assert ("video" in links.tags) == fields.get("playable", True)
    assert "nan" not in text


def test_a_label_has_the_same_colour_in_every_row():
    messages = [message(0, person(1), person(2, RIGHT), person(3, MIDDLE, "Sad"), person(4, LEFT, ""))]
    colours = word_colours(people(messages).values())
    assert {"Happy", "Neutral", "Sad", "NO_FACE"} <= colours.keys()
    assert len({colours[label] for label in ("Happy", "Neutral", "Sad")}) == 3
    assert (colours["Sad"], colours["NO_FACE"]) == ("k2", "no-face")


def test_the_label_that_was_said_for_longest_has_the_first_colour():
    messages = [message(i, person(1, label="Sad"), *[person(2, RIGHT)] * (i == 0)) for i in range(3)]
    colours = word_colours(people(messages).values())
    assert (colours["Sad"], colours["Happy"]) == ("k0", "k1")


def test_the_page_shows_when_what_was_said():
    (block, *_) = re.findall(r'<i class="([^"]*)" style="left:([^%]*)%;width:[^"]*" title="([^"]*)"></i>', page())
    assert block == ("k0", "0.000", "Happy, 0.0 to 0.3 s")
