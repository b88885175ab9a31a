"""Write the tables of benchmark results into a page: ``python -m caer_ros.cli.bench.appendix RESULTS_DIR PAGE``.

A page has one section for each ``caer bench`` command, between ``<!-- begin: caer bench node -->`` and
``<!-- end: caer bench node -->``. RESULTS_DIR has results of some of the commands (``*.json``, as ``--out`` writes
them): their tables, in the order of the files' names, replace the section of the command. Everything else on the page
stays as it is, and so do sections without a result.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caer_ros.cli.bench import evaluate, figures, scaling, tracking, train

if TYPE_CHECKING:
    from collections.abc import Sequence

MODULES: dict[str, Any] = {module.FORMAT: module for module in (figures, tracking, scaling, train, evaluate)}
"""The module that knows a result's tables, by the result's ``format``."""


class AppendixError(ValueError):
    """A result cannot be read, or a page has no section for it; says which file and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the page that ``argv`` names, and say which results went into it; 1 where that cannot be done."""
    parser = argparse.ArgumentParser(prog="appendix", description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, metavar="RESULTS_DIR", help="folder of the JSON files of `caer bench`")
    parser.add_argument("page", type=Path, metavar="PAGE", help="Markdown page to rewrite")
    args = parser.parse_args(argv)
    try:
        found = read(args.results)
        text = rewrite(args.page.read_text("utf8"), found)
    except (AppendixError, OSError) as error:
        print(f"appendix: {error}", file=sys.stderr)
        return 1
    args.page.write_text(text, "utf8")
    print(f"{args.page}: tables of {', '.join(found)}")
    return 0


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The results in ``folder`` by their files' names, sorted.

    Raises:
        AppendixError: there are none, a file is no result of ``caer bench``, or another version wrote it.
    """
    results = {path.name: _result(path) for path in sorted(folder.glob("*.json"))}
    if not results:
        raise AppendixError(f"{folder}: has no *.json; write some with `caer bench node --out {folder}/node.json`")
    return results


def rewrite(page: str, results: dict[str, dict[str, Any]]) -> str:
    """The text of ``page`` with the sections of all ``results`` (by file name) replaced.

    Raises:
        AppendixError: the page lacks a section.
    """
    for name in dict.fromkeys(result["format"] for result in results.values()):
        begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise AppendixError(f"the page has no section for `{name}`: add the lines {begin.strip()} and {end}")
        parts = [
            f"### {file}\n\n{figures.as_markdown(MODULES[name].tables(result))}\n"
            for file, result in results.items()
            if result["format"] == name
        ]
        page = f"{before}{begin}\n{''.join(parts)}{end}{after}"
    return page


def _result(path: Path) -> dict[str, Any]:
    try:
        result = json.loads(path.read_text("utf8"))
    except ValueError as error:
        raise AppendixError(f"{path}: is no JSON: {error}") from error
    module = MODULES.get(str(result.get("format"))) if isinstance(result, dict) else None
    if module is None:
        raise AppendixError(f"{path}: its field format is none of {', '.join(MODULES)}; move the file elsewhere")
    if result.get("format_version") != module.FORMAT_VERSION:
        raise AppendixError(
            f"{path}: format_version is {result.get('format_version')}, this program reads {module.FORMAT_VERSION}: "
            "measure again"
        )
    return dict(result)


if __name__ == "__main__":
    sys.exit(main())
