from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from rich.console import Console
from tiny_student import LABELS, write_own

from caer_ros.offline.data import load
from caer_ros.offline.data.predictions import ImagePrediction, PredictionHeader, Predictions
from caer_ros.offline.evaluation import predict
from caer_ros.offline.metrics.joined import join
from caer_ros.offline.metrics.summary import evaluate
from caer_ros.offline.reports import dataset_report, tables
from caer_ros.perception.person import BoxKind, ScoreType


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load("own", write_own(tmp_path_factory.mktemp("own")), "test")


def answers(dataset, pooled=True, max_persons=5, right=True):
    """Every annotated person found; scores are the labels, or their opposite."""
    header = PredictionHeader(
        "tiny",
        "0123456789abcdef",
        "moods",
        LABELS,
        ScoreType.SIGMOID,
        BoxKind.BODY,
        "own test",
        max_persons,
        {"person": 0.5, "kept": 0.01},
    )
    images = []
    for sample in dataset.samples:
        scores = np.where((sample.emotions > 0.5) == right, 0.9, 0.1).astype(np.float32)
        boxes = sample.boxes if max_persons else sample.boxes[:0]
        images.append(
            ImagePrediction(
                sample.image_id,
                sample.size,
                boxes,
                np.full(len(boxes), 0.8, np.float32),
                scores[: len(boxes)],
                scores if pooled else None,
            )
        )
    return Predictions(header, images)


def document(dataset, predictions, **options):
    return dataset_report.html(join(dataset.samples, predictions), evaluate(dataset, predictions), **options)


def rows(evaluation):
    return {name.strip(): (value, beside) for name, value, beside in tables.summary(evaluation).rows}


# --- The table -----------------------------------------------------------------------------------------------------


def test_each_number_has_beside_it_what_it_is_read_with(dataset):
    summary = tables.summary(evaluate(dataset, answers(dataset), replicates=20))
    shown = {name: (value, beside) for name, value, beside in summary.rows}
    assert "tiny (0123456789abcdef) on own test: 6 persons (body boxes), 6 images" in summary.title
    assert shown["ER, mAP"][0].startswith("100.00 [100.00")
    assert "chance 33.33" in shown["ER, mAP"][1]
    assert "annotations: the set's own labels" in shown["ER, mAP"][1]
    assert shown["independent groups of images"][0] == "6"
    assert "95%: bootstrap with 20 draws" in shown["independent groups of images"][1]
    assert shown["PD, COCO AP"][0].startswith("100.00")
    assert shown["OER"][0].startswith("100.00")
    assert "floor (chance) 33.33" in shown["OER"][1]
    assert "(OER − chance) / (ER − chance) 100.00" in shown["OER"][1]
    assert "best 15 of score ≥ 0.1" in shown["OER"][1]
    assert shown["  false persons per image"][0] == "0"
    assert "0 of 6 persons missed" in shown["  false persons per image"][1]
    assert [beside for name, _, beside in summary.rows if "BENet" in name] == [tables.COMPAT] * 2
    assert "shuffles" in shown["ER with labels shuffled"][1]
    assert shown["ECE against the labels"][0] == "10.00"


def test_without_scores_in_annotated_boxes_there_is_no_er_and_it_is_said(dataset):
    evaluation = evaluate(dataset, answers(dataset, pooled=False))
    assert rows(evaluation)["ER, mAP"] == ("—", "this model gives no scores in annotated boxes")
    assert rows(evaluation)["OER"][0] == "100.00"
    assert "normalised" not in rows(evaluation)["OER"][1]
    assert len(tables.tables(evaluation)) == 2


def test_a_model_that_finds_nobody_has_no_pd_and_no_oer(dataset):
    evaluation = evaluate(dataset, answers(dataset, max_persons=0))
    assert rows(evaluation)["PD, COCO AP"][0] == "—"
    assert "OER" not in rows(evaluation)
    assert {row[4] for row in tables.classes(evaluation).rows} == {"—"}


def test_labels_that_are_never_predicted_are_told_apart(dataset):
    predictions = answers(dataset)
    blank = np.array([1, np.nan, 1], np.float32)
    images = [replace(i, emotions=i.emotions * blank, pooled=i.pooled * blank) for i in predictions.images]
    shown = rows(evaluate(dataset, Predictions(predictions.header, images)))
    assert shown["ER, mAP"][0] == "77.78"  # (1 + 1/3 + 1) / 3
    assert "scores are given for 66.67 %" in shown["ER, mAP"][1]
    assert shown["over the labels it predicts"] == ("100.00", "chance 33.33; 2 labels")


def test_everything_is_printed(dataset):
    written = io.StringIO()
    tables.show(evaluate(dataset, answers(dataset)), Console(file=written, width=200))
    said = written.getvalue()
    for text in ("ER, mAP", *LABELS, "persons in the image: 2", "· The benet_compat"):
        assert text in said


# --- The page ------------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_beside_it(dataset):
    page = document(dataset, answers(dataset))
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)
    for heading in ("Average precision", "Precision and recall", "Reliability against the labels", "Best images"):
        assert f"<h2>{heading}</h2>" in page
    for svg in re.findall(r"image/svg\+xml;base64,([^\"]*)", page):
        assert b"<svg" in base64.b64decode(svg)
    assert page.count("image/svg+xml") == 5
    pictures = [base64.b64decode(data) for data in re.findall(r"image/jpeg;base64,([^\"]*)", page)]
    assert len(pictures) == 4  # four images with persons: two best, two worst
    assert cv2.imdecode(np.frombuffer(pictures[0], np.uint8), cv2.IMREAD_COLOR).shape == (90, 120, 3)


def test_pictures_of_people_only_where_wanted(dataset):
    page = document(dataset, answers(dataset), pictures=False)
    assert "image/jpeg" not in page
    assert "Best images" not in page


def test_a_page_without_er_or_without_persons(dataset):
    page = document(dataset, answers(dataset, pooled=False))
    assert page.count("image/svg+xml") == 1  # persons
    assert "this model gives no scores in annotated boxes" in page
    page = document(dataset, answers(dataset, max_persons=0))
    assert page.count("image/svg+xml") == 4
    assert "image/jpeg" not in page


def test_a_page_without_emotions(dataset):
    bare = replace(dataset, labels=(), samples=tuple(without_labels(sample) for sample in dataset.samples))
    predictions, _ = predict.relabel(answers(dataset), bare)
    evaluation = evaluate(bare, predictions)
    assert [shown.title.startswith("tiny") for shown in tables.tables(evaluation)] == [True]
    assert {"ER, mAP", "OER"}.isdisjoint(rows(evaluation))
    assert rows(evaluation)["PD, COCO AP"][0] == "100.00"
    page = document(bare, predictions)
    assert page.count("image/svg+xml") == 1  # persons
    assert "OER" not in page


def without_labels(sample):
    return replace(sample, emotions=sample.emotions[:, :0], votes=sample.votes[:, :0])


def test_names_are_no_markup(dataset):
    predictions = answers(dataset)
    header = replace(predictions.header, model="<script>alert(1)</script>")
    page = document(dataset, Predictions(header, predictions.images), pictures=False)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
