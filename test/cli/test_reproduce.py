import json
from dataclasses import replace

import pytest

from caer_ros.cli import command_line
from caer_ros.offline import data
from caer_ros.offline.data.synthetic.plans import Settings
from caer_ros.offline.reproduction import benet, context, dsct
from caer_ros.offline.reproduction.laboratory import Laboratory, ReproductionError
from caer_ros.offline.reproduction.scales import SCALES
from caer_ros.offline.reproduction.seeds import estimate

pytestmark = pytest.mark.timeout(400)  # trainings: on a busy machine the smallest table takes minutes
CPU = ("--device", "cpu", "--threads", "1")


def test_table_3_at_the_smallest_scale_prints_the_papers_layout_and_is_not_done_twice(tmp_path, capsys):
    arguments = ["reproduce", "ka", "--data", "synthetic", "--table", "3", "--scale", "smoke"]
    arguments += ["--output", str(tmp_path), *CPU]
    assert command_line.main(arguments) == 0
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

    assert command_line.main([*arguments, "--json"]) == 0
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
    assert command_line.main([*arguments, *CPU, "--json"]) == 0
    nothing, everything = json.loads(capsys.readouterr().out)
    assert nothing["best"] == pytest.approx(nothing["best_alone"], abs=1e-6)  # a scene that tells nothing
    assert everything["best"] == pytest.approx(100)
    assert everything["best_alone"] < 99
    assert len(nothing["student"]) == len(nothing["crops"]) == 1
    assert (tmp_path / "context-synthetic-smoke" / "context.png").stat().st_size > 5000


def test_one_training_of_benet_serves_all_three_tables(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(benet, "ROWS", {"bu_det": "BU+Det", "bu_det_pc_bg_ed": "BU+Det+PC+BG+ED"})
    arguments = ["reproduce", "benet", "--scale", "smoke", "--images", "10", "--epochs", "1", "--output", str(tmp_path)]
    assert command_line.main([*arguments, *CPU, "--table", "3", "--json"]) == 0
    (block,) = json.loads(capsys.readouterr().out)
    first, last = block["rows"]
    assert set(first["scores"]) == {"chance", "oer", "oer_benet_compat", *(f"oer_{at}" for at in benet.THRESHOLDS)}
    mean = sum(last["scores"][f"oer_{at}"][0] for at in benet.THRESHOLDS) / len(benet.THRESHOLDS)
    assert last["scores"]["oer"] == [pytest.approx(mean)]
    folder = tmp_path / "benet-synthetic-smoke"
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")}
    assert len(made) == 2 * 2  # last and best of each
    assert (folder / "data" / "heco").is_dir()  # the extra data

    assert command_line.main([*arguments, *CPU, "--table", "1"]) == 0
    text = capsys.readouterr().out
    assert "Table 1: BENet" in text
    assert "paper: +" in text
    one, two = json.loads((folder / "table1.json").read_text())[0]["rows"]
    assert "er_mean" not in one["scores"]
    assert 0 < two["scores"]["er_mean"][0] <= 100
    assert command_line.main([*arguments, *CPU, "--table", "2"]) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")} == made


def test_tables_of_dsct_share_a_training_and_both_data_sets_have_their_measure(tmp_path, capsys, monkeypatch):
    for number, rows in ((5, ("4", "9")), (7, ("semantic",))):
        definition = dsct.DEFINITIONS[number]
        chosen = {row: definition.rows[row] for row in rows}
        monkeypatch.setitem(dsct.DEFINITIONS, number, replace(definition, rows=chosen))
    arguments = ["reproduce", "dsct", "--scale", "smoke", "--images", "10", "--output", str(tmp_path), *CPU]
    assert command_line.main([*arguments, "--table", "5"]) == 0
    text = capsys.readouterr().out
    assert "Table 5: DSCT, number of subject queries" in text
    assert "paper: -" in text  # 9 are published as worse than 4 on EMOTIC
    folder = tmp_path / "dsct-synthetic-smoke"
    made = sorted(path.parts[-4:-2] for path in folder.rglob("best.ckpt"))
    assert made == [("published", "seed0"), ("subjects-9", "seed0")]

    assert command_line.main([*arguments, "--table", "7", "--json"]) == 0
    (block,) = json.loads(capsys.readouterr().out)
    assert block["rows"][0]["scores"].keys() == {"chance", "er"}
    assert sorted(path.parts[-4:-2] for path in folder.rglob("best.ckpt")) == made  # nothing was trained

    definition = dsct.DEFINITIONS[5]
    only = {"9": definition.rows["9"]}
    monkeypatch.setitem(dsct.DEFINITIONS, 5, replace(definition, rows=only))
    assert command_line.main([*arguments, "--table", "5", "--only", "caer_s", "--json"]) == 0
    (block,) = json.loads(capsys.readouterr().out)
    assert block["rows"][0]["scores"].keys() == {"chance", "accuracy"}
    config = (folder / "caer_s" / "published" / "seed0" / "config.yaml").read_text()
    assert "name: own" in config


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
        (["ka", "--table", "3", "--weights", "x.pth"], "--weights: of benet and dsct, not of ka"),
        (["context", "--data", "heco"], "only synthetic data"),
        (["benet"], "--table: which one of benet? 1, 2 or 3"),
        (["benet", "--table", "5"], "--table 5: of benet there are 1, 2 or 3"),
        (["benet", "--table", "1", "--data", "heco"], "table 1 is about emotic, not heco"),
        (["benet", "--table", "1", "--teacher", "fer=x"], "--teacher: benet has no teachers"),
        (["benet", "--table", "1", "--backbone", "resnet18"], "--backbone: benet has no such setting"),
        (["benet", "--table", "1", "--weights", "nowhere.pth"], "--weights nowhere.pth: no such file"),
        (["dsct", "--table", "4"], "--table 4: of dsct there are 5, 6, 7, 8 or 9"),
        (["dsct", "--table", "6", "--only", "caer_s"], "table 6 is about emotic, not caer_s"),
        (["dsct", "--table", "6", "--teacher-epochs", "2"], "--teacher-epochs: dsct has no such setting"),
    ],
)
def test_wrong_arguments_are_told(arguments, says, tmp_path, capsys):
    assert command_line.main(["reproduce", *arguments, "--output", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


def test_results_of_other_settings_are_not_mixed(tmp_path):
    def laboratory(**changes):
        return Laboratory(replace(SCALES["smoke"], **changes), tmp_path, synthetic=True, roots={})

    laboratory().claim()
    laboratory(seeds=5, blocks=2).claim()  # more of the same
    with pytest.raises(ReproductionError, match="epochs 2, now 9"):
        laboratory(epochs=9).claim()
    with pytest.raises(ReproductionError, match=r"start None, now .*pose\.pth"):
        replace(laboratory(), start=tmp_path / "pose.pth").claim()


def test_a_rendering_that_was_broken_off_is_done_anew(tmp_path):
    folder = tmp_path / "data" / "heco" / "Data"
    folder.mkdir(parents=True)
    scale = replace(SCALES["smoke"], images=4, pictures=Settings(width=96, height=64))
    root = Laboratory(scale, tmp_path, synthetic=True, roots={}, say=lambda _: None).root("heco")
    assert len(data.load("heco", root, "train").samples) == 4


def test_real_data_that_is_not_given_is_asked_for(tmp_path, capsys):
    root = tmp_path / "heco"
    root.mkdir()
    arguments = ["--table", "3", "--data", "heco", "--path", f"heco={root}", "--output", str(tmp_path / "out")]
    assert command_line.main(["reproduce", "ka", *arguments]) == 1
    assert "affectnet is needed and not given: add --path affectnet=FOLDER" in capsys.readouterr().err
    assert (
        command_line.main(["reproduce", "benet", "--table", "1", "--data", "emotic", "--output", str(tmp_path / "out")])
        == 1
    )
    assert "emotic is needed and not given: add --path emotic=FOLDER" in capsys.readouterr().err
