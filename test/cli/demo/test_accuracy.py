"""How right a run is said to be, from messages and a ground truth made by hand; the metrics have tests of their own."""

import numpy as np
import pytest
from bag_files import write_bag
from hand_made_run import LEFT, MIDDLE, RIGHT, message, person, stamp_of

from caer_ros.cli.demo import accuracy
from caer_ros.cli.demo.accuracy import Accuracy
from caer_ros.msg import PersonEmotion
from caer_ros.offline.evaluation.bags import published_messages
from caer_ros.offline.metrics.joined import MetricsError
from caer_ros.perception.person import BoxKind
from caer_ros.recordings.annotations.assembly import Annotation, assemble
from caer_ros.recordings.annotations.sample import Findings

TOPIC = "/emotion/emotions"


def samples(*images, ignore=()):
    """Of each image who is there: track id -> box."""
    none = np.empty(0, np.float32)
    return [
        assemble(
            f"camera/{stamp_of(index)}",
            None,
            [Annotation("", box, none, track_id=track.strip()) for track, box in people.items()],
            0,
            BoxKind.FACE,  # as in a bag whose truth is of faces: it does not matter
            Findings(),
            exhaustive=True,
            crowds=ignore,
            stamp=stamp_of(index),
            size=(480, 640),
        )
        for index, people in enumerate(images)
    ]


def measured(folder, truth, *messages):
    """Through a bag, as in the demo."""
    bag = write_bag(folder / "bag", [(TOPIC, stamp_of(number), said) for number, said in enumerate(messages)])
    return accuracy.measure(truth, published_messages.read(bag, TOPIC).predictions)


def test_a_coasting_box_is_no_detection_and_a_dropped_image_is_not_judged(tmp_path):
    truth = samples(*[{"ann": LEFT}] * 4)
    coasting = person(1, track_state=PersonEmotion.TRACK_COASTED)
    said = message(0, person(1)), message(1, coasting), message(3, person(1), person(2, RIGHT))
    assert measured(tmp_path, truth, *said) == Accuracy(
        images=3,
        unprocessed=1,
        demanded=3,
        true_positives=2,
        false_positives=1,
        switches=0,
        fragmentations=1,
        id_true_positives=2,
        identities=1,
        tracks=2,
    )


def test_ignored_persons_neither_cost_nor_reward(tmp_path):
    truth = samples({"ann": LEFT}, ignore=[RIGHT])
    alone = measured(tmp_path / "alone", truth, message(0, person(1)))
    assert measured(tmp_path / "found", truth, message(0, person(1), person(2, RIGHT))) == alone
    assert (alone.precision, alone.recall, alone.idf1) == (1, 1, 1)


def test_somebody_without_a_track_id_is_somebody_else_in_each_image(tmp_path):
    truth = samples(*[{"": LEFT, " ": RIGHT}] * 2)
    found = measured(tmp_path, truth, *(message(index, person(1), person(2, RIGHT)) for index in range(2)))
    assert (found.recall, found.identities, found.id_true_positives, found.switches) == (1, 4, 2, 0)


def test_nobody_to_be_found_is_not_judged_and_nobody_found_has_no_precision(tmp_path):
    assert measured(tmp_path / "empty", samples({}), message(0, person(1, MIDDLE))) is None
    missed = measured(tmp_path / "missed", samples({"ann": LEFT}), message(0))
    assert missed.to_dict() | {"precision": None, "recall": 0, "idf1": 0} == missed.to_dict()


def test_runs_that_do_not_belong_are_refused(tmp_path):
    truth = samples({"ann": LEFT}, {"ann": LEFT})
    with pytest.raises(MetricsError, match="in the predictions, but not in the samples"):
        measured(tmp_path / "other", truth, message(0), message(7))
    with pytest.raises(MetricsError, match="twice in the predictions"):
        measured(tmp_path / "loop", truth, message(0), message(0))
    with pytest.raises(MetricsError, match="is published 2 times in one image"):
        measured(tmp_path / "twins", truth, message(0, person(1), person(1, RIGHT)))
