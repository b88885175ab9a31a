"""`caer bench train`, with a network and pictures so small that it takes seconds."""

import argparse
import json

import pytest
import torch

from caer_ros.cli.bench import train


def arguments(*words):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return parser.parse_args(words)


SMALL = ("--backbone", "mobilenetv4_conv_small_050", "--size", "64", "--batch", "2", "--steps", "2", "--device", "cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "PICTURES", 3)
        return train.render(tmp_path_factory.mktemp("rendered") / "pictures")


@pytest.fixture(scope="module")
def report(pictures):
    return train.measure(arguments(*SMALL, "--workers", "0"), "own", pictures)


def test_the_report_has_the_promised_shape(report):
    assert set(report) == {
        *("format", "format_version", "date", "machine", "settings"),
        *("images_per_second", "loading_keeps_up", "peak_memory_mb"),
    }
    assert (report["format"], report["format_version"]) == ("caer bench train", 1)
    assert report["settings"]["parameters"] > 500_000
    assert report["machine"]["device"] == "cpu"
    assert report["machine"]["versions"]["torch"] == torch.__version__
    assert json.loads(json.dumps(report)) == report


def test_rates_and_memory_are_numbers_that_fit_each_other(report):
    rates = report["images_per_second"]
    assert set(rates) == {"loader", "step", "training"}
    assert all(rate > 0 for rate in rates.values())
    assert report["loading_keeps_up"] == (rates["loader"] >= rates["step"])
    assert report["peak_memory_mb"]["resident"] > 100


def test_a_data_set_of_ones_own_goes_through_the_command_to_a_table(pictures, capsys):
    args = arguments(*SMALL, "--workers", "0", "--data", "own", str(pictures))
    assert train.run(args) == 0
    said = capsys.readouterr().out
    for words in ("mobilenetv4_conv_small_050", "own, 0 workers", "loader alone", "images/s", "peak memory"):
        assert words in said


def test_pictures_are_repeated_into_one_epoch_of_the_length_that_is_needed(pictures):
    from caer_ros.offline import data
    from caer_ros.offline.systems.ka.config import KaConfig
    from caer_ros.offline.training.config import DataConfig

    settings = KaConfig("", DataConfig("own", str(pictures), size=(64, 64), batch=5, workers=0))
    batches = list(train.loading(data.load("own", pictures, "train"), settings, steps=4))
    assert len(batches) >= 4 + train.WARM_UP
    assert all(batch.images.shape == (5, 3, 64, 64) for batch in batches)


def test_what_is_loaded_in_advance_does_not_count(pictures, monkeypatch):
    """Between the first and the last time that the clock is read for training there are just the steps."""
    import time
    from types import SimpleNamespace

    from caer_ros.offline import data
    from caer_ros.offline.systems.ka.config import KaConfig
    from caer_ros.offline.training.config import DataConfig

    events = []
    settings = KaConfig("", DataConfig("own", str(pictures), size=(64, 64), batch=1, workers=3))
    monkeypatch.setattr(train, "loading", lambda *_: iter(lambda: events.append("batch") or "batch", None))
    monkeypatch.setattr(time, "perf_counter", lambda: events.append("clock") or float(len(events)))
    fabric = SimpleNamespace(device=torch.device("cpu"))
    train.measure_rates(data.load("own", pictures, "train"), settings, fabric, lambda _: None, 4)
    *_, in_advance, measured = (part.count("batch") for part in split(events, "clock") if "batch" in part)
    assert (in_advance, measured) == (train.WARM_UP + 2 * 3, 4)


def split(events, at):
    parts = [[]]
    for event in events:
        parts.append([]) if event == at else parts[-1].append(event)
    return parts


def test_no_more_workers_than_cores_are_reported(pictures, monkeypatch):
    monkeypatch.setattr(train, "measure_rates", lambda *_: dict.fromkeys(("loader", "step", "training"), 1.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert train.measure(arguments(*SMALL, "--workers", "9"), "own", pictures)["settings"]["workers"] == 2


def test_workers_are_none_or_more(capsys):
    assert arguments("--workers", "0").workers == 0
    for text in ("-1", "two"):
        with pytest.raises(SystemExit):
            arguments("--workers", text)
        assert "must be a whole number, 0 or more" in capsys.readouterr().err


def test_too_large_a_batch_is_said_in_a_line(pictures, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(train, "measure_rates", full)
    with pytest.raises(train.BenchError, match="out of memory with a batch of 2; choose a smaller --batch"):
        train.measure(arguments(*SMALL), "own", pictures)


@pytest.mark.parametrize(("text", "words"), [("auto", ("auto", 1)), ("cpu", ("cpu", 1)), ("cuda:2", ("cuda", [2]))])
def test_devices(text, words):
    assert train._device(text) == words


@pytest.mark.parametrize("text", ["gpu", "cuda", "cuda:", "cuda:x", "tensorrt:0"])
def test_unknown_devices_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be auto, cpu or cuda:N"):
        train._device(text)
