"""What a node published becomes a table of predictions."""

import numpy as np
import pytest
from bag_files import START_NS, image, picture, write_bag
from hand_made_run import LEFT, RIGHT, message, person, stamp_of

from caer_ros.msg import PerceptionStatus, PersonEmotion
from caer_ros.offline.data import predictions
from caer_ros.offline.evaluation.bags import published_messages
from caer_ros.offline.evaluation.bags.published_messages import Counted
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.definitions import TRUTH_TOPIC
from caer_ros.recordings.sources import SourceError

TOPIC = "/emotion/emotions"


def write(folder, *said, topic=TOPIC, others=()):
    recorded = [(topic, stamp_of(i) + 10**8, one) for i, one in enumerate(said)]
    return write_bag(folder / "bag", [*recorded, *others])


def test_every_field_that_is_measured_comes_through(tmp_path):
    coasted = person(2, RIGHT, label="", track_state=PersonEmotion.TRACK_COASTED, detection_confidence=0.4)
    bag = write(tmp_path, message(0, person(1, valence=0.5), coasted, mailbox_drops=3, saturated=True, model_id="m"))
    read = published_messages.read(bag)
    (one,) = read.predictions.images
    assert (read.topic, read.left_out, read.unused) == (TOPIC, (), frozenset())
    assert one.image_id == f"emotion/emotions/{stamp_of(0)}"
    assert (one.stamp, one.size, one.saturated) == (stamp_of(0), (480, 640), True)
    assert one.boxes.tolist() == [list(LEFT), list(RIGHT)]
    assert one.scores.tolist() == pytest.approx([0.9, 0.4])
    assert one.tracked.ids == ("4f2a-1", "4f2a-2")
    assert one.tracked.coasted.tolist() == [False, True]
    assert one.tracked.top.tolist() == [0, -1]
    assert one.emotions[0].tolist() == pytest.approx([0.8, 0.1, 0.1])
    assert np.isnan(one.emotions[1]).all()
    assert one.vad[0, 0] == pytest.approx(0.5)
    assert (one.timing.published, one.timing.drops) == (stamp_of(0) + 10**8, 3)
    assert (one.timing.processing, one.timing.inference) == pytest.approx((0.08, 0.05))
    header = read.predictions.header
    assert (header.model, header.labels, header.box_kind) == ("m", ("Happy", "Neutral", "Sad"), BoxKind.BODY)
    assert header.thresholds["kept"] == pytest.approx(0.4)


def test_messages_come_in_the_order_of_publishing(tmp_path):
    bag = write(tmp_path, message(0, delay_ns=5 * 10**8), message(1), message(2))
    assert [one.stamp for one in published_messages.read(bag).predictions.images] == [stamp_of(i) for i in (1, 2, 0)]


def test_the_box_kind_is_that_of_the_persons_not_of_empty_messages(tmp_path):
    bag = write(tmp_path, message(0), message(1), message(2, person(1, box_kind=PersonEmotion.BOX_FACE)))
    assert published_messages.read(bag).predictions.header.box_kind == BoxKind.FACE
    assert len(published_messages.read(bag).predictions.images) == 3


def test_messages_of_a_model_with_other_labels_are_left_out_and_counted(tmp_path):
    other = message(2, model_id="b")
    other.labels = ["Joy"]
    read = published_messages.read(write(tmp_path, message(0, model_id="a"), message(1, model_id="a"), other))
    assert len(read.predictions.images) == 2
    assert read.models == ("a ",)
    assert read.left_out[0].endswith("1 messages of /emotion/emotions have other labels than most: Joy")
    assert read.unused == {stamp_of(2)}


def test_what_the_node_counted_is_told_by_its_status(tmp_path):
    """From the first to the last that is recorded; the counts begin anew when the node is activated again."""
    counts = [(4, 1), (6, 1), (9, 3), (2, 0)]
    statuses = [
        ("/emotion/status", stamp_of(i), PerceptionStatus(mailbox_drops=drops, images_rejected=rejected))
        for i, (drops, rejected) in enumerate(counts)
    ]
    other = ("/other/status", stamp_of(0), PerceptionStatus(mailbox_drops=50))
    read = published_messages.read(write(tmp_path, message(0), others=[*statuses, other]))
    assert read.counted == Counted(dropped=7, rejected=2)
    assert published_messages.read(write(tmp_path / "none", message(0), others=[other])).counted is None
    assert published_messages.read(write(tmp_path / "one", message(0), others=statuses[:1])).counted is None


def test_the_ground_truth_is_not_taken_for_the_nodes(tmp_path):
    bag = write(tmp_path, message(0, person(1)), others=[(TRUTH_TOPIC, START_NS + 10**9, message(0, person(1)))])
    assert published_messages.read(bag).topic == TOPIC


def test_two_nodes_have_to_be_told_apart(tmp_path):
    bag = write(tmp_path, message(0), others=[("/back/emotions", START_NS + 10**9, message(0))])
    with pytest.raises(SourceError, match=r"several topics.*name one: /back/emotions, /emotion/emotions"):
        published_messages.read(bag)
    assert published_messages.read(bag, "/back/emotions").topic == "/back/emotions"


def test_a_bag_without_the_nodes_messages_is_an_error(tmp_path):
    bag = write_bag(tmp_path / "bag", [("/camera", START_NS, image(picture(0), START_NS))])
    with pytest.raises(SourceError, match="was ~/emotions of the node recorded"):
        published_messages.read(bag)


@pytest.mark.parametrize("field", ["detection_confidence", "y_min"])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_persons_without_a_box_or_a_confidence_are_left_out_and_counted(tmp_path, field, number):
    bag = write(tmp_path, message(0, person(1, **{field: number}), person(2)), message(1, person(1, **{field: number})))
    read = published_messages.read(bag)
    assert [image.tracked.ids for image in read.predictions.images] == [("4f2a-2",), ()]
    assert read.predictions.header.thresholds == {"person": pytest.approx(0.9), "kept": pytest.approx(0.9)}
    assert read.left_out == (f"{bag}: 2 persons of {TOPIC} have no box or no detection confidence: not a number",)
    assert read.unused == frozenset()
    predictions.write(tmp_path / "table.jsonl", read.predictions)
    assert "NaN" not in (tmp_path / "table.jsonl").read_text()
