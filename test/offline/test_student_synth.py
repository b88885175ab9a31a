"""The student that comes with the package: intact, small, honest about itself, and able to see drawn people."""

from __future__ import annotations

from pathlib import Path

from caer_ros.offline import data
from caer_ros.offline.data.synthetic import folders
from caer_ros.offline.evaluation.predict import predict_bundle
from caer_ros.offline.metrics.detection import pd
from caer_ros.offline.metrics.emotion_recognition import er
from caer_ros.offline.metrics.joined import join
from caer_ros.perception.bundle.reading import read_bundle

FOLDER = Path(__file__).parents[2] / "models" / "student_synth"


def test_it_is_intact_small_and_says_that_it_has_never_seen_a_real_person():
    found = read_bundle(FOLDER, verify=True)
    assert sum(file.size for file in found.files.values()) <= 8e6
    assert "never seen a real person" in (FOLDER / "README.md").read_text()
    assert "synthetic" in (FOLDER / "README.md").read_text()


def test_it_finds_people_in_pictures_that_it_has_not_seen_and_knows_more_than_chance(tmp_path):
    folders.write("own", tmp_path / "data", {"test": 40}, seed=987654)
    samples = data.load("own", tmp_path / "data", "test").samples
    joined = join(samples, predict_bundle(read_bundle(FOLDER), samples))
    # Measured when it was made, on 400 images: AP50 1.00, ER 0.55 with chance 0.125.
    assert pd(joined).ap50 > 0.9
    assert er(joined).mean_average_precision > 0.35
