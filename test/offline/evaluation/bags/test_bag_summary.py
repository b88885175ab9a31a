from __future__ import annotations

import json
import math

import pytest
from offline.evaluation import made_evaluation


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return made_evaluation.record(tmp_path_factory.mktemp("made") / "bag", images=40, width=160, height=120)


def test_the_title_tells_the_manners_apart(recording):
    offline, recorded = made_evaluation.offline(recording).result, made_evaluation.recorded(recording).result
    assert offline.title == "made (0123456789abcdef) on bag, offline"
    assert recorded.title == "made (0123456789abcdef) on bag, as recorded, at 200 ms"


def test_all_of_it_is_strict_json(recording):
    """NaN is no JSON: what is not known is null."""
    result = made_evaluation.recorded(recording).result
    assert math.isnan(result.evaluation.oer_relative)
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert content["evaluation"]["oer_relative"] is None
    assert content["manner"] == "as recorded"
    assert content["bags"][0]["path"] == str(recording.bag)
    assert content["account"]["fates"].count("unanswered") == content["account"]["annotated"]["unanswered"] > 0
    assert content["timing"]["latency"]["median"] == pytest.approx(result.timing.latency.median)
    assert content["identity"]["run_hash"] == result.identity.run_hash
    assert content["curve"][0]["deadline"] == result.curve[0].deadline
    assert {"title"} & content.keys() == set()
