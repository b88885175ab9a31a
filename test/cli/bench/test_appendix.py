"""The tables of benchmark results on a page: a real result of `caer bench evaluate`, and the page of the docs."""

import json
from pathlib import Path

import pytest

from caer_ros.cli import command_line
from caer_ros.cli.bench import appendix, evaluate, figures

TABLES = Path(__file__).parents[3] / "docs" / "performance_tables.md"
PAGE = """# Tables

<!-- begin: caer bench node -->
| measured | long ago |
<!-- end: caer bench node -->

By hand.

<!-- begin: caer bench evaluate -->
old
<!-- end: caer bench evaluate -->

The end.
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("appendix")
    bag, out = folder / "bag", folder / "evaluate.json"
    assert command_line.main(f"data synthetic {folder} --bag --images 4 --size 160x120".split()) == 0
    words = f"bench evaluate --frames 20 --runs 1 --threads 1 --model student_synth --bag {bag} --out {out}"
    assert command_line.main(words.split()) == 0
    return json.loads(out.read_text())


@pytest.fixture
def results(tmp_path, result):
    """A folder with two results of one command."""
    for name, threads in (("evaluate_2.json", 2), ("evaluate_1.json", 1)):
        settings = result["settings"] | {"threads": threads}
        (tmp_path / name).write_text(json.dumps(result | {"settings": settings}))
    return tmp_path


def test_a_section_is_replaced_by_the_tables_of_its_results_and_all_else_stays(results, result):
    page = results / "page.md"
    page.write_text(PAGE)
    assert appendix.main([str(results), str(page)]) == 0
    written = page.read_text()
    before, _, rest = PAGE.partition("old\n")
    assert written.startswith(before)
    assert written.endswith(rest)
    first, second = written.removeprefix(before).removesuffix(rest).split("### ")[1:]
    assert first.startswith("evaluate_1.json\n")
    assert "| threads, runs | 1, median of 1 |" in first
    read = json.loads((results / "evaluate_2.json").read_text())
    assert second == f"evaluate_2.json\n\n{figures.as_markdown(evaluate.tables(read))}\n"
    assert f"| measured | {result['date']} |" in second


def test_twice_is_as_once(results):
    found = appendix.read(results)
    once = appendix.rewrite(PAGE, found)
    assert appendix.rewrite(once, found) == once


def test_the_page_of_the_docs_has_a_section_for_every_benchmark(result):
    page = TABLES.read_text("utf8")
    for name in appendix.MODULES:
        assert page.count(f"<!-- begin: {name} -->\n") == page.count(f"<!-- end: {name} -->\n") == 1
    assert f"| measured | {result['date']} |" in appendix.rewrite(page, {"evaluate.json": result})


def test_every_benchmark_of_the_command_line_has_tables():
    benchmarks = {f"caer {' '.join(command.words)}" for command in command_line.COMMANDS if command.words[0] == "bench"}
    assert set(appendix.MODULES) == benchmarks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "its field format is none of caer bench node"),
        ('{"format": "caer models compare"}', "its field format is none of"),
        ('{"format": "caer bench train", "format_version": 0}', "format_version is 0, this program reads 1"),
    ],
)
def test_a_file_that_is_no_result_is_refused_and_the_page_stays(tmp_path, capsys, text, said):
    (tmp_path / "other.json").write_text(text)
    (tmp_path / "page.md").write_text(PAGE)
    assert appendix.main([str(tmp_path), str(tmp_path / "page.md")]) == 1
    error = capsys.readouterr().err
    assert "other.json" in error
    assert said in error
    assert (tmp_path / "page.md").read_text() == PAGE


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(appendix.AppendixError, match=r"has no \*\.json; write some with `caer bench node --out"):
        appendix.read(tmp_path)


def test_a_page_without_the_section_is_refused(results):
    with pytest.raises(appendix.AppendixError, match="no section for `caer bench evaluate`"):
        appendix.rewrite("# Tables\n", appendix.read(results))
