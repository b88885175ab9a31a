from __future__ import annotations

import json
import sqlite3
from dataclasses import fields, is_dataclass, replace

import cv2
import numpy as np
import pytest
import tiny_student
from bag_files import compressed, write_bag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin

from caer_ros.offline.evaluation import predict
from caer_ros.offline.evaluation.bags import bag_run
from caer_ros.offline.evaluation.bags.bag_processes import run_bags
from caer_ros.offline.evaluation.bags.bag_run import BagJob, run_bag
from caer_ros.offline.evaluation.predict import EvaluationError
from caer_ros.offline.export.demo_photos import demo_pictures
from caer_ros.offline.metrics.joined import join
from caer_ros.perception.bundle.finding import find_bundle
from caer_ros.perception.bundle.reading import read_bundle
from caer_ros.perception.calibration import Calibration, calibrated
from caer_ros.perception.engine import EngineSettings
from caer_ros.perception.imaging import decoding
from caer_ros.perception.person import BoxKind
from caer_ros.perception.pipeline import Pipeline, PipelineSettings
from caer_ros.perception.predictors import predictor
from caer_ros.recordings import frames
from caer_ros.recordings.annotations.sample import Dataset, DatasetError, Findings, Sample
from caer_ros.recordings.sources import SourceError

CPU = EngineSettings("cpu", threads=1)
TOPIC = "/camera/image_raw/compressed"
S = 10**9
STAMPS = tuple(100 * S + number * S // 5 for number in range(8))


def sample(stamp, boxes=((10, 5, 60, 80), (50, 20, 110, 88)), size=(90, 120), labels=3):
    count = len(boxes)
    unknown = np.full((count, labels), np.nan, np.float32)
    return Sample(
        image_id=frames.frame_name(TOPIC, stamp),
        path=None,
        size=size,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        box_kind=BoxKind.BODY,
        emotions=unknown,
        vad=np.full((count, 3), np.nan, np.float32),
        votes=unknown,
        weights=np.ones(count, np.float32),
        gender=("",) * count,
        age=("",) * count,
        exhaustive=True,
        track_ids=("",) * count,
        faces=("",) * count,
        face_boxes=np.full((count, 4), np.nan, np.float32),
        stamp=stamp,
    )


def dataset(stamps=STAMPS, **options):
    samples = tuple(sample(stamp, **options) for stamp in stamps)
    return Dataset("bag", None, "test", "own", tiny_student.LABELS, True, samples, Findings())


def message(stamp, broken=False):
    """A picture that its stamp determines."""
    (pixels,) = tiny_student.pictures(1, seed=stamp // 10**8)
    result = compressed(pixels[..., ::-1], stamp)
    if broken:
        result.data = result.data[: len(result.data) // 2]
    return result


def record(path, stamps=STAMPS, broken=(), storage=StoragePlugin.MCAP):
    """A bag of the pictures of these stamps, in this order."""
    told = [(TOPIC, 10**9 + i, message(stamp, stamp in broken)) for i, stamp in enumerate(stamps)]
    return write_bag(path, told, storage)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return record(tmp_path_factory.mktemp("recorded") / "bag")


@pytest.fixture(scope="module")
def bundle(student_bundle):
    return read_bundle(student_bundle)


@pytest.fixture(scope="module")
def whole(bundle, bag):
    return run_bag(bundle, bag, dataset(), TOPIC, CPU)


def same(a, b):
    """Equal to the last bit, whatever they are made of."""
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.fixture
def asked(monkeypatch):
    """The stamps that a network was asked about."""
    stamps = []
    load = predict.load

    def counting(*args):
        model, ask = load(*args)

        def count(sample, *rest):
            stamps.append(sample.stamp)
            return ask(sample, *rest)

        return model, count

    monkeypatch.setattr(predict, "load", counting)
    return stamps


@pytest.fixture
def decoded(monkeypatch):
    """How many images were decoded."""
    calls = []
    decode = decoding.decode_compressed
    monkeypatch.setattr(decoding, "decode_compressed", lambda data: calls.append(1) or decode(data))
    return calls


# --- What it says ----------------------------------------------------------------------------------------------------


def test_persons_are_those_of_the_nodes_pipeline(bundle, bag, whole):
    node = Pipeline(predictor.load(bundle, CPU), PipelineSettings(), "offline")
    result = whole.predictions
    assert [image.stamp for image in result.images] == list(STAMPS)
    assert [image.image_id for image in result.images] == [s.image_id for s in dataset().samples]
    tracked = coasted = 0
    for image, frame in zip(result.images, frames.read(bag), strict=True):
        persons = node(frame.pixels, frame.stamp_ns).persons
        assert image.tracked.ids == tuple(person.track_id for person in persons)
        assert image.tracked.top.tolist() == [person.top_index for person in persons]
        for row, person in enumerate(persons):
            np.testing.assert_allclose(image.boxes[row], person.box, atol=0.1)
            np.testing.assert_allclose(image.scores[row], person.confidence, atol=1e-4)
            np.testing.assert_allclose(image.emotions[row], person.scores, atol=1e-4)
            np.testing.assert_allclose(image.tracked.smoothed[row], person.smoothed_scores, atol=1e-4)
            assert image.tracked.coasted[row] == np.isnan(image.emotions[row]).all()
        tracked += sum(map(bool, image.tracked.ids))
        coasted += image.tracked.coasted.sum()
    assert tracked > len(STAMPS)
    assert coasted > 0  # or the comparison would say nothing of them
    assert whole.provider == "CPUExecutionProvider"
    assert (whole.left_out, whole.resumed) == ([], 0)


def test_thresholds_are_those_that_the_pipeline_publishes_by(bundle, bag, whole):
    assert whole.predictions.header.thresholds == {
        "person": 0.05,
        "uncertain": bundle.thresholds.uncertain,
        "kept": 0.025,
    }
    strict = PipelineSettings(person_threshold=0.4, uncertain_below=0.9)
    fewer = run_bag(bundle, bag, dataset(), TOPIC, CPU, strict).predictions
    assert fewer.header.thresholds == {"person": 0.4, "uncertain": 0.9, "kept": 0.2}
    scores = [np.concatenate([image.scores for image in table.images]) for table in (whole.predictions, fewer)]
    assert scores[0].min() >= 0.025
    assert (scores[1] >= 0.2).all()
    assert len(scores[1]) < len(scores[0])


def test_each_frame_runs_once_and_annotated_boxes_are_read_off_that_run(bundle, bag, whole, asked):
    calibration = Calibration((2.0, 0.5, 1.0), (0.5, -1.0, 0.25))
    result = run_bag(replace(bundle, calibration=calibration), bag, dataset(), TOPIC, CPU)
    assert asked == list(STAMPS)
    model, ask = predict.load(bundle, CPU)
    for one, plain, frame in zip(result.predictions.images, whole.predictions.images, frames.read(bag), strict=True):
        _, pooled = ask(sample(frame.stamp_ns), frame.pixels, 0.025, None)
        assert pooled.shape == (2, 3)
        assert np.array_equal(plain.pooled, pooled)
        expected = [calibrated(row, calibration, bundle.score_type) for row in pooled]
        assert np.array_equal(one.pooled, np.stack(expected))
        assert not np.allclose(one.pooled, pooled)
    assert model.provider == result.provider


def test_a_table_joins_with_its_samples(whole):
    joined = join(dataset().samples, whole.predictions)
    assert joined.pooled().shape == (16, 3)
    assert joined.kept == pytest.approx(0.025)


def test_nobody_annotated_is_nobody_read(bundle, bag):
    (image, *_) = run_bag(bundle, bag, dataset(STAMPS[:2], boxes=()), TOPIC, CPU).predictions.images
    assert image.pooled.shape == (0, 3)


def test_stages_are_timed(whole):
    assert set(whole.seconds) == {"read", "decode", "resize", "inference", "post", "track", "total"}
    assert all(value > 0 for value in whole.seconds.values())
    beside = ("read", "resize", "inference", "post", "track")
    assert sum(whole.seconds[stage] for stage in beside) < whole.seconds["total"]


def test_a_composed_bundle_comes_back_out_of_the_store_as_it_was(tmp_path, asked):
    """Faces that are hidden, not found, read: every status comes back, and with it what was reported and smoothed."""
    pictures = demo_pictures()
    stamps = [S + number * S // 10 for number in range(2 * len(pictures))]
    shown = [compressed(pictures[i // 2][..., ::-1], stamp) for i, stamp in enumerate(stamps)]
    bag = write_bag(tmp_path / "bag", [(TOPIC, i + 1, one) for i, one in enumerate(shown)])
    samples = [sample(stamp, size=pictures[i // 2].shape[:2], labels=7) for i, stamp in enumerate(stamps)]
    annotated = replace(dataset(), samples=tuple(samples))
    bundle, store = read_bundle(find_bundle("bootstrap")), tmp_path / "store.jsonl"
    first = run_bag(bundle, bag, annotated, TOPIC, CPU, store=store)
    assert all(image.pooled is None for image in first.predictions.images)
    assert any((image.tracked.top >= 0).any() for image in first.predictions.images)
    assert {p["status"] for line in store.read_text().splitlines()[1:] for p in json.loads(line)["persons"]} > {1}
    again = run_bag(bundle, bag, annotated, TOPIC, CPU, store=store)
    assert same(first.predictions, again.predictions)
    assert len(asked) == len(stamps) == again.resumed


# --- Once more, and on from where it was -----------------------------------------------------------------------------


def test_two_runs_are_equal_to_the_last_bit(bundle, bag, whole):
    again = run_bag(bundle, bag, dataset(reversed(STAMPS)), TOPIC, CPU)
    assert same(whole.predictions, again.predictions)
    assert whole.images == again.images


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_stopped_run_goes_on_without_asking_or_decoding_again(tmp_path, bundle, whole, asked, decoded, storage):
    bag, store = record(tmp_path / "bag", storage=storage), tmp_path / "new" / "store.jsonl"

    def stopped(samples):
        for number, one in enumerate(samples):
            if number == 3:
                raise KeyboardInterrupt
            yield one

    with pytest.raises(KeyboardInterrupt):
        run_bag(bundle, bag, dataset(), TOPIC, CPU, store=store, watch=stopped)
    assert asked == list(STAMPS[:3])
    asked.clear()
    decoded.clear()
    run = run_bag(bundle, bag, dataset(), TOPIC, CPU, store=store)
    assert asked == list(STAMPS[3:])
    assert len(decoded) == len(STAMPS) - 3
    assert run.resumed == 3
    assert same(run.predictions.images, whole.predictions.images)
    assert run.seconds["inference"] > 0
    asked.clear()
    decoded.clear()
    again = run_bag(bundle, bag, dataset(), TOPIC, CPU, store=store)
    assert (asked, decoded, again.resumed) == ([], [], len(STAMPS))
    assert same(again.predictions, run.predictions)
    stages = ("decode", "resize", "inference", "post")
    assert {stage: again.seconds[stage] for stage in stages} == {stage: run.seconds[stage] for stage in stages}


@pytest.fixture(scope="module")
def stored(tmp_path_factory, bundle, bag):
    """The store of a whole run."""
    path = tmp_path_factory.mktemp("stored") / "store.jsonl"
    run_bag(bundle, bag, dataset(), TOPIC, CPU, store=path)
    return path.read_bytes()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_store_that_was_cut_off_anywhere_is_completed(tmp_path, bundle, bag, whole, stored, data):
    length = data.draw(st.one_of(st.integers(0, len(stored)), st.sampled_from([0, 1, stored.index(b"\n") + 1])))
    store = tmp_path / "store.jsonl"
    store.write_bytes(stored[:length])
    run = run_bag(bundle, bag, dataset(), TOPIC, CPU, store=store)
    assert same(run.predictions, whole.predictions)
    assert run.resumed == max(0, stored[:length].count(b"\n") - 1)
    lines = [json.loads(line) for line in store.read_bytes().splitlines()]
    assert [line.get("stamp") for line in lines] == [None, *STAMPS]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"settings": EngineSettings("cpu", threads=2)}, "threads 1 instead of 2"),
        ({"dataset": dataset(boxes=((1, 2, 30, 40),))}, "annotations"),
        ({"dataset": dataset(STAMPS[1:])}, "images"),
        ({"pipeline": PipelineSettings(person_threshold=0.5)}, "thresholds"),
    ],
)
def test_a_store_of_another_run_is_refused(tmp_path, bundle, bag, stored, changed, named):
    store = tmp_path / "store.jsonl"
    store.write_bytes(stored)
    job = {"dataset": dataset(), "settings": CPU, "pipeline": None} | changed
    with pytest.raises(EvaluationError, match=f"store.jsonl: holds .* another run: .*{named}.*remove it"):
        run_bag(bundle, bag, topic=TOPIC, store=store, **job)
    assert store.read_bytes() == stored


def test_times_of_smoothing_may_differ_from_the_stored_runs(tmp_path, bundle, bag, stored, asked):
    """What the network said does not depend on them."""
    store = tmp_path / "store.jsonl"
    store.write_bytes(stored)
    slow = PipelineSettings(smoothing_time=30.0)
    resumed = run_bag(bundle, bag, dataset(), TOPIC, CPU, slow, store)
    assert asked == []
    assert same(resumed.predictions, run_bag(bundle, bag, dataset(), TOPIC, CPU, slow).predictions)


@pytest.mark.parametrize(
    ("content", "named"),
    [(b"{}\n", "another run"), (b"\xff\n", r"store\.jsonl:1: not JSON"), (b"[1]\n", "not written by this program")],
)
def test_a_file_that_is_no_store_is_not_written_to(tmp_path, bundle, bag, content, named):
    store = tmp_path / "store.jsonl"
    store.write_bytes(content)
    with pytest.raises(EvaluationError, match=named):
        run_bag(bundle, bag, dataset(), TOPIC, CPU, store=store)
    assert store.read_bytes() == content


def test_a_damaged_line_is_named(tmp_path, bundle, bag, stored):
    store, lines = tmp_path / "store.jsonl", stored.splitlines(keepends=True)
    lines[2] = b"\0\0\n"
    store.write_bytes(b"".join(lines))
    with pytest.raises(EvaluationError, match=r"store\.jsonl:3: not JSON .* remove the file"):
        run_bag(bundle, bag, dataset(), TOPIC, CPU, store=store)


# --- Bags as they are ------------------------------------------------------------------------------------------------


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_order_of_the_recording_does_not_matter(tmp_path_factory, bundle, whole, data):
    """Disorder, repetitions, broken images and images that nobody annotated: the run is that of the sound ones."""
    order = data.draw(st.permutations(STAMPS))
    broken = data.draw(st.sets(st.sampled_from(STAMPS), max_size=3))
    repeated = data.draw(st.lists(st.sampled_from(STAMPS), max_size=3))
    bag = record(tmp_path_factory.mktemp("order") / "bag", [*order, 7, *repeated], broken)
    run = run_bag(bundle, bag, dataset(), TOPIC, CPU)
    sound = [stamp for stamp in STAMPS if stamp not in broken]
    assert [image.stamp for image in run.predictions.images] == sound
    assert len(run.left_out) == len(broken)
    if not broken:
        assert same(run.predictions.images, whole.predictions.images)


def test_a_repetition_stands_in_for_a_broken_image(tmp_path, bundle, whole):
    told = [message(STAMPS[0], broken=True), *map(message, STAMPS[1:]), message(STAMPS[0])]
    bag = write_bag(tmp_path / "bag", [(TOPIC, i + 1, one) for i, one in enumerate(told)])
    run = run_bag(bundle, bag, dataset(), TOPIC, CPU)
    assert same(run.predictions.images, whole.predictions.images)
    assert run.left_out == []


def test_what_cannot_be_evaluated_is_left_out_and_named(tmp_path, bundle):
    bag, store = record(tmp_path / "bag", broken=STAMPS[2:3]), tmp_path / "store.jsonl"
    unstamped = replace(sample(1), stamp=None, image_id="unstamped")
    unset = replace(sample(1), stamp=0, image_id="unset")
    annotated = dataset([*STAMPS, 77])
    annotated = replace(annotated, samples=(*annotated.samples, unstamped, unset))
    run = run_bag(bundle, bag, annotated, TOPIC, CPU, store=store)
    left_out = [line.split(":")[0] for line in run.left_out]
    assert left_out == ["unstamped", "unset", frames.frame_name(TOPIC, 77), frames.frame_name(TOPIC, STAMPS[2])]
    assert "not in" in run.left_out[2]
    assert ": cannot be decoded: JPEG of" in run.left_out[3]
    judged = bag_run.judged(annotated, run.predictions)
    assert [one.stamp for one in judged.samples] == [*STAMPS[:2], *STAMPS[3:]]
    join(judged.samples, run.predictions)
    again = run_bag(bundle, bag, annotated, TOPIC, CPU, store=store)
    assert (again.left_out, again.resumed) == (run.left_out, 7)
    assert same(again.predictions, run.predictions)


def test_a_frame_that_is_annotated_at_another_size_is_left_out_and_named(bundle, bag):
    whole = dataset()
    wrong = replace(whole, samples=(replace(whole.samples[0], size=(91, 120)), *whole.samples[1:]))
    run = run_bag(bundle, bag, wrong, TOPIC, CPU)
    assert len(run.predictions.images) == len(whole.samples) - 1
    assert "90×120 pixels (height×width)" in run.left_out[0]
    assert "annotated as 91×120" in run.left_out[0]


@pytest.mark.parametrize("length", [8, 14, 20, 40])
def test_a_message_that_is_cut_anywhere_costs_only_itself(tmp_path, bundle, length):
    bag = record(tmp_path / "bag", storage=StoragePlugin.SQLITE3)
    with sqlite3.connect(bag / "bag.db3") as database:
        database.execute("UPDATE messages SET data = substr(data, 1, ?) WHERE id = 3", (length,))
    database.close()
    run = run_bag(bundle, bag, dataset(), TOPIC, CPU)
    assert [image.stamp for image in run.predictions.images] == [*STAMPS[:2], *STAMPS[3:]]
    (line,) = run.left_out
    assert line.startswith(
        f"{frames.frame_name(TOPIC, STAMPS[2])}: {'cannot be decoded: ' if length >= 12 else 'not in'}"
    )


def test_errors_name_what_is_wrong(tmp_path, bundle, bag):
    twice = replace(dataset(), samples=(*dataset().samples, replace(sample(STAMPS[1]), image_id="other/1")))
    with pytest.raises(DatasetError, match=r"other/1: has the stamp of camera/.*one camera at a time"):
        run_bag(bundle, bag, twice, TOPIC, CPU)
    with pytest.raises(DatasetError, match=r"90×120 pixels .*annotated as 91×120"):
        run_bag(bundle, bag, dataset(size=(91, 120)), TOPIC, CPU)
    with pytest.raises(DatasetError, match=r"none of 2 annotated frames can be taken from .*: camera/.*/5: not in"):
        run_bag(bundle, bag, dataset([5, 6]), TOPIC, CPU)
    with pytest.raises(SourceError, match=f"no images on /nowhere: {TOPIC}"):
        run_bag(bundle, bag, dataset(), "/nowhere", CPU)
    with pytest.raises(SourceError, match="no such file"):
        run_bag(bundle, tmp_path / "gone", dataset(), TOPIC, CPU)
    with pytest.raises(SourceError, match="not a bag"):
        run_bag(bundle, picture_file(tmp_path), dataset(), TOPIC, CPU)
    broken = record(tmp_path / "broken", broken=STAMPS)
    with pytest.raises(DatasetError, match=r"none of 8 annotated frames.*: cannot be decoded: JPEG"):
        run_bag(bundle, broken, dataset(), TOPIC, CPU)


def picture_file(folder):
    path = folder / "one.png"
    cv2.imwrite(str(path), np.zeros((4, 4, 3), np.uint8))
    return path


# --- Several bags ----------------------------------------------------------------------------------------------------


def test_processes_change_nothing(tmp_path, bundle, bag, whole):
    other = record(tmp_path / "other", STAMPS[::-1][:5])
    jobs = [
        BagJob(bundle, bag, dataset(), TOPIC, CPU, store=tmp_path / "1.jsonl"),
        BagJob(bundle, other, dataset(), TOPIC, CPU),
    ]
    results = []
    for processes in (1, 2):
        done = {}
        results.append(run_bags(jobs, processes, lambda job, count, done=done: done.setdefault(job, []).append(count)))
        assert [done[job][-1] for job in (0, 1)] == [8, 8]
        assert all(counts == sorted(counts) for counts in done.values())
    serial, parallel = results
    assert [same(a.predictions, b.predictions) for a, b in zip(serial, parallel, strict=True)] == [True, True]
    assert same(serial[0].predictions, whole.predictions)
    assert [run.left_out for run in serial] == [run.left_out for run in parallel]
    assert [len(run.left_out) for run in serial] == [0, 3]
    assert [run.resumed for run in parallel] == [8, 0]


def test_the_error_of_a_bag_in_another_process_is_raised_here(tmp_path, bundle, bag):
    jobs = [BagJob(bundle, path, dataset(), TOPIC, CPU) for path in (bag, tmp_path / "gone")]
    with pytest.raises(SourceError, match="gone: no such file"):
        run_bags(jobs, 2)
