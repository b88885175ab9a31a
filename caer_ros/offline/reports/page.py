"""What the reports are made of: one HTML file that needs no network and nothing beside it."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from caer_ros import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from caer_ros.offline.reports.tables import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline number, and what it must be read with."""

    value: str
    name: str
    beside: str
    unit: str = ""
    """Behind the value, and smaller."""


_FIGURES = 5
"""Beside each other on a wide page, at most; two rows of them are equally long, or nearly."""


def document(title: str, parts: Iterable[str], written_by: str, style: str = "", script: str = "") -> str:
    """The whole file.

    Args:
        title: plain text; of the window, and above everything.
        parts: HTML below the title; empty ones are left out.
        written_by: the command, such as "caer evaluate dataset".
        style, script: CSS and JavaScript beside those of every report.
    """
    running = f"<script>{script}</script>" if script else ""
    return _DOCUMENT.format(
        title=escape(title),
        style=_STYLE + style,
        body="\n".join(filter(None, parts)),
        script=running,
        written_by=escape(written_by),
        version=__version__,
    )


def section(heading: str, body: str, note: str = "") -> str:
    """A card with a heading; ``note`` is plain text, ``body`` HTML. Its anchor is ``anchor(heading)``."""
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<section id="{anchor(heading)}"><h2>{escape(heading)}</h2>{said}{body}</section>'


def anchor(heading: str) -> str:
    """The id of a section in links: small letters and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def figures(shown: Sequence[Figure]) -> str:
    """The headline numbers side by side."""
    cells = "".join(
        f'<div class="figure"><strong>{escape(figure.value)}{_unit(figure)}</strong><span>{escape(figure.name)}</span>'
        f"<small>{escape(figure.beside)}</small></div>"
        for figure in shown
    )
    columns = -(-len(shown) // -(-len(shown) // _FIGURES)) if shown else 1
    return f'<section class="figures" style="--columns: {columns}">{cells}</section>'


def _unit(figure: Figure) -> str:
    return f"<em>{escape(figure.unit)}</em>" if figure.unit else ""


def notes(said: Sequence[str]) -> str:
    """Sentences as a list; nothing without any."""
    return f'<ul class="note">{"".join(f"<li>{escape(note)}</li>" for note in said)}</ul>' if said else ""


def table(shown: Table) -> str:
    """A table in its section."""
    return section(shown.title, rows(shown))


def rows(shown: Table) -> str:
    """A table without its title; where the page is too narrow for it, it alone can be pushed sideways."""

    def cell(tag: str, index: int, text: str) -> str:
        kind = "word" if index in shown.words else "number"
        indent = " indent" if text.startswith("  ") else ""
        return f'<{tag} class="{kind}{indent}">{escape(text.strip())}</{tag}>'

    head = "".join(cell("th", index, text) for index, text in enumerate(shown.header))
    body = "".join(f"<tr>{''.join(cell('td', i, text) for i, text in enumerate(row))}</tr>" for row in shown.rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def plot(heading: str, note: str, svg: bytes) -> str:
    """A plot over the whole width, in its section."""
    return section(heading, image(svg, "svg+xml", heading, "plot"), note)


def image(content: bytes, kind: str, words: str, css: str = "") -> str:
    """An embedded picture; ``kind`` is "jpeg" or "svg+xml", ``words`` say what it shows ("": the words beside it)."""
    said = f' class="{css}"' if css else ""
    return f'<img{said} alt="{escape(words)}" src="{uri(content, kind)}">'


def uri(content: bytes, kind: str = "jpeg") -> str:
    """A picture as the address of itself."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def gallery(pictures: Iterable[str]) -> str:
    """Pictures in rows."""
    return f'<div class="gallery">{"".join(pictures)}</div>'


def picture(jpeg: bytes, words: str) -> str:
    """A picture with plain text below it."""
    return f"<figure>{image(jpeg, 'jpeg', '')}<figcaption>{escape(words)}</figcaption></figure>"


def data(name: str, content: Any) -> str:
    """Numbers and strings for the page's script, which finds them by the id ``name``."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


_STYLE = """
:root { --ink: #1b2430; --soft: #5d6b7a; --line: #dfe4ea; --back: #f5f7f9; --card: #fff; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 40px; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; } h2 { font-size: 18px; margin: 0 0 10px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 16px 0; }
.note, figcaption, small, footer { color: var(--soft); font-size: 13px; } p.note { margin: -4px 0 12px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 12px; }
.figure { display: flex; flex-direction: column; } .figure span { font-weight: 600; }
.figure strong { font-size: 30px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th { font-size: 13px; color: var(--soft); font-weight: 600; }
th, td { padding: 5px 14px 5px 0; vertical-align: top; text-align: left; }
tbody td { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } .indent { padding-left: 18px; }
.plot { display: block; width: 100%; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); gap: 16px; }
figure { margin: 0; } figure img { width: 100%; border-radius: 6px; display: block; }
figcaption { margin-top: 5px; overflow-wrap: anywhere; }
"""
_DOCUMENT = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>
{body}
<footer><p>Written by {written_by}, caer_ros {version}. Emotions are <b>apparent</b> emotions: how a person
looks to a viewer. They are not what the person feels. If this file holds pictures of people, delete it when you no
longer need it.</p></footer></main>{script}</body></html>
"""
