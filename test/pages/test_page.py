"""The templates that all pages are made of."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import jinja2
import pytest

from caer_ros.pages import page, words
from caer_ros.pages.parts import (
    LABEL_COLOURS,
    LABEL_PATTERNS,
    Block,
    Headline,
    Picture,
    label_css,
)

NASTY = "<b onclick=\"x\">Ann & 'co'</b>"
COMPARISON = {
    "title": "two models",
    "caveat": "agreement",
    "notes": ["a note"],
    "tables": [],
    "pictures": [Picture(b"\xff\xd8", "both of them", "pictures/001.jpg")],
    "facts": {"Models": {"bootstrap": "1.1.0"}},
}
"""What compare.html.j2 names."""


class Tags(HTMLParser):
    """Checks that tags are closed, and collects what the page refers to."""

    EMPTY = frozenset({"meta", "img", "br"})

    def __init__(self, text):
        super().__init__()
        self.open, self.links = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href", "poster")]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def macro(name, *arguments):
    """What a macro makes of its arguments."""
    given = {f"value_{number}": argument for number, argument in enumerate(arguments)}
    source = f'{{% import "macros.html.j2" as m %}}{{{{ m.{name}({", ".join(given)}) }}}}'
    return page._environment().from_string(source).render(given)


def test_a_page_is_one_file_that_needs_no_network():
    text = page.render("compare.html.j2", **COMPARISON)
    assert Tags(text).links == ["pictures/001.jpg", "data:image/jpeg;base64,/9g="]
    assert not re.search(r"https?:|//|@import|url\(", re.sub(r'"data:[^"]*"', "", text))
    assert (page.TEMPLATES / "style.css").read_text().strip() in text


@pytest.mark.parametrize("field", ["title", "caveat", "notes", "pictures", "facts"])
def test_no_name_becomes_markup(field):
    nasty = {
        "title": NASTY,
        "caveat": NASTY,
        "notes": [NASTY],
        "pictures": [Picture(b"", NASTY, NASTY)],
        "facts": {NASTY: {NASTY: NASTY}},
    }
    text = page.render("compare.html.j2", **{**COMPARISON, field: nasty[field]})
    Tags(text)
    assert "<b onclick" not in text
    assert "&lt;b onclick=&#34;x&#34;&gt;Ann &amp; &#39;co&#39;&lt;/b&gt;" in text


@pytest.mark.parametrize("left_out", COMPARISON)
def test_a_value_that_is_not_given_is_an_error(left_out):
    given = {name: value for name, value in COMPARISON.items() if name != left_out}
    with pytest.raises(jinja2.UndefinedError, match=f"'{left_out}' is undefined"):
        page.render("compare.html.j2", **given)


def test_the_json_of_a_script_ends_no_script():
    shown = page._environment().from_string("{{ data|tojson }}").render(data={"a": ["</script>", 1.5]})
    assert shown == '{"a":["\\u003c/script\\u003e",1.5]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        page._environment().from_string("{{ data|tojson }}").render(data=float("nan"))


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (5, 5), (6, 3), (7, 4), (11, 4)])
def test_headline_numbers_stand_in_rows_of_equal_length_or_nearly(count, columns):
    shown = macro("headline", [Headline("1", "AP", "of persons")] * count)
    assert f"--columns: {columns}" in shown
    assert shown.count("<strong>1</strong><span>AP</span><small>of persons</small>") == count
    assert macro("headline", []).strip() == ""


def test_a_headline_number_has_its_unit_behind_it():
    assert "<strong>12<em>ms</em></strong>" in macro("headline_cells", [Headline("12", "latency", "median", "ms")])


def test_words_and_numbers_of_a_table_are_told_apart():
    shown = macro("table", ("label", "AP"), [("Happy", "12.5"), ("  sometimes", "—")])
    cells = re.findall(r'<t[hd] class="([^"]*)">([^<]*)</t[hd]>', shown)
    assert cells == [
        ("word", "label"),
        ("number", "AP"),
        ("word", "Happy"),
        ("number", "12.5"),
        ("word indent", "sometimes"),
        ("number", "—"),
    ]


def test_a_band_places_its_blocks():
    plain = Block(0, 100 / 3, "k0", "Happy", "Happy, 0 to 1 s")
    shown = macro("band", [plain, replace(plain, word="", title="", stripes=(0, 2))], "said")
    assert re.findall(r"<i .*?</i>", shown) == [
        '<i class="k0" style="left:0.000%;width:33.333%" title="Happy, 0 to 1 s"><b>Happy</b></i>',
        '<i class="k0" style="left:0.000%;width:33.333%;background:linear-gradient('
        'var(--label-0) 0% 50%,var(--label-2) 50% 100%)"></i>',
    ]


def test_every_label_has_a_colour_and_those_beyond_the_colours_a_pattern():
    ranks = range(LABEL_COLOURS * LABEL_PATTERNS)
    assert len({label_css(rank) for rank in ranks}) == len(ranks)
    assert label_css(0) == "k0"
    style = (page.TEMPLATES / "style.css").read_text()
    for css in {part for rank in ranks for part in label_css(rank).split()}:
        assert f".{css} {{" in style
    assert re.findall(r"--label-(\d):", style) == [str(number) for number in range(LABEL_COLOURS)]


def test_an_anchor_is_fit_for_an_address():
    assert page.anchor("Labels: precision & recall ") == "labels-precision-recall"


@pytest.mark.parametrize(
    ("say", "value", "expected"),
    [
        (words.percent, 0.9444, "94.4 %"),
        (words.percent, 1, "100 %"),
        (words.milliseconds, 0.0554, "55 ms"),
        (words.per_second, 10.08, "10.1/s"),
        (words.number, 0.123456, "0.123"),
    ],
)
def test_numbers_are_said_in_few_digits_and_what_is_unknown_with_a_dash(say, value, expected):
    assert say(value) == expected
    assert say(float("nan")) == "—"


def test_no_html_stands_in_a_python_string():
    modules = page.TEMPLATES.parents[1].rglob("*.py")
    assert [
        path.name for path in modules if re.search(r"</[a-z]|<(?:div|p|span|section|table)\b", path.read_text())
    ] == []
