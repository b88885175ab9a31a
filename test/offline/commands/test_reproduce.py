import json
from dataclasses import replace

import pytest

from caer_ros import cli
from caer_ros.offline import datasets
from caer_ros.offline.datasets.synthetic.scenes import Settings
from caer_ros.offline.reproduction import context
from caer_ros.offline.reproduction.intervals import estimate
from caer_ros.offline.reproduction.scales import SCALES
from caer_ros.offline.reproduction.trainings import Laboratory, ReproductionError

pytestmark = pytest.mark.timeout(400)  # trainings: on a busy machine the smallest table takes minutes
CPU = ("--device", "cpu", "--threads", "1")


def test_table_3_at_the_smallest_scale_prints_the_papers_layout_and_is_not_done_twice(tmp_path, capsys):
    arguments = ["reproduce", "ka", "--data", "synthetic", "--table", "3", "--scale", "smoke"]
    arguments += ["--output", str(tmp_path), *CPU]
    assert cli.main(arguments) == 0
    text = capsys.readouterr().out
    assert "Table 3" in text
    assert [name for name in ("FER", "VEA", "OD") if name in text] == ["FER", "VEA", "OD"]
    assert "paper: +" in text
    folder = tmp_path / "ka-synthetic-smoke"
    (block,) = json.loads((folder / "table3.json").read_text())
    assert block["data"] == "heco"
    assert len(block["rows"]) == 7
    assert all(0 < row["scores"]["er"][0] <= 100 for row in block["rows"])
    made = {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")}
    assert len(made) == 2 * (3 + 7)  # last and best of three teachers and seven students
    config = (folder / "heco" / "ka-fer" / "seed0" / "config.yaml").read_text()
    assert "teachers/fer/checkpoints/best.ckpt" in config

    assert cli.main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [block]
    assert {name: (folder / name).stat().st_mtime_ns for name in made} == made


def test_the_study_of_context_trains_both_models_and_knows_the_best_possible(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(context, "SCENE", (0.0, 1.0))
    arguments = [
        "reproduce",
        "context",
        "--scale",
        "smoke",
        "--images",
        "24",
        "--epochs",
        "1",
        "--output",
        str(tmp_path),
    ]
    assert cli.main([*arguments, *CPU, "--json"]) == 0
    nothing, everything = json.loads(capsys.readouterr().out)
    assert nothing["best"] == pytest.approx(nothing["best_alone"], abs=1e-6)  # a scene that tells nothing
    assert everything["best"] == pytest.approx(100)
    assert everything["best_alone"] < 99
    assert len(nothing["student"]) == len(nothing["crops"]) == 1
    assert (tmp_path / "context-synthetic-smoke" / "context.png").stat().st_size > 5000


def test_the_gain_is_paired_by_seed():
    point = context.Point(1.0, student=[50.0, 60.0, 70.0], crops=[40.0, 49.0, 61.0], best=100, best_alone=60)
    assert point.gain == estimate([10.0, 11.0, 9.0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ka"], "--table"),
        (["ka", "--table", "4", "--data", "emotic"], "table 4 is about heco, not emotic"),
        (["ka", "--table", "3", "--only", "heco", "--images", "0"], "--images 0"),
        (["ka", "--table", "3", "--data", "heco", "--path", "heco=nowhere"], "heco=nowhere: no such file"),
        (["ka", "--table", "3", "--path", "imagenet=x"], "give NAME=PATH"),
        (["context", "--data", "heco"], "only synthetic data"),
    ],
)
def test_wrong_arguments_are_told(arguments, says, tmp_path, capsys):
    assert cli.main(["reproduce", *arguments, "--output", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


def test_results_of_other_settings_are_not_mixed(tmp_path):
    def laboratory(**changes):
        return Laboratory(replace(SCALES["smoke"], **changes), tmp_path, synthetic=True, roots={})

    laboratory().claim()
    laboratory(seeds=5, blocks=2).claim()  # more of the same
    with pytest.raises(ReproductionError, match="epochs 2, now 9"):
        laboratory(epochs=9).claim()


def test_a_rendering_that_was_broken_off_is_done_anew(tmp_path):
    folder = tmp_path / "data" / "heco" / "Data"
    folder.mkdir(parents=True)
    scale = replace(SCALES["smoke"], images=4, pictures=Settings(width=96, height=64))
    root = Laboratory(scale, tmp_path, synthetic=True, roots={}, say=lambda _: None).root("heco")
    assert len(datasets.load("heco", root, "train").samples) == 4


def test_real_data_that_is_not_given_is_asked_for(tmp_path, capsys):
    root = tmp_path / "heco"
    root.mkdir()
    arguments = ["--table", "3", "--data", "heco", "--path", f"heco={root}", "--output", str(tmp_path / "out")]
    assert cli.main(["reproduce", "ka", *arguments]) == 1
    assert "affectnet is needed and not given: add --path affectnet=FOLDER" in capsys.readouterr().err
