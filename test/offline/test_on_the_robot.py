"""What was measured at the desk is what the robot does: one student, one set of images, both ways."""

from __future__ import annotations

import numpy as np
import pytest
from robot import SECOND, robot
from tiny_student import write_own

from caer_ros.msg import PersonEmotion
from caer_ros.offline import data
from caer_ros.offline.evaluation.predict import predict_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.recordings.annotations import image_files

pytestmark = pytest.mark.timeout(180)


def test_the_node_says_over_dds_what_the_evaluation_counts(tmp_path, student_bundle):
    samples = data.load("own", write_own(tmp_path / "data"), "test").samples
    threshold = read_bundle(student_bundle).thresholds.person
    predicted = predict_bundle(read_bundle(student_bundle), samples).images

    compared = 0
    with robot(tmp_path, f"model:={student_bundle}", "coast_time:=0.0", "device:=cpu") as running:
        running.wait_until_matched()
        for sample, offline in zip(samples, predicted, strict=True):
            running.wait(60.0)  # nobody of the last image is remembered
            said = running.show(image_files.read(sample.path), running.next_stamp() // SECOND * SECOND)
            ours = offline.scores >= threshold
            assert len(said.persons) == ours.sum()
            boxes = np.array([[p.x_min, p.y_min, p.x_max, p.y_max] for p in said.persons]).reshape(-1, 4)
            scores = np.array([p.scores for p in said.persons]).reshape(len(boxes), -1)
            confidence = np.array([p.detection_confidence for p in said.persons])
            order = np.argsort(-confidence, kind="stable")
            np.testing.assert_allclose(confidence[order], offline.scores[ours], atol=1e-3)
            np.testing.assert_allclose(boxes[order], offline.boxes[ours], atol=0.5)
            np.testing.assert_allclose(scores[order], offline.emotions[ours], atol=1e-3)
            assert all(p.box_kind == PersonEmotion.BOX_BODY for p in said.persons)
            compared += len(boxes)
    assert compared >= len(samples)
