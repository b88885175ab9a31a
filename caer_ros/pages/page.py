"""HTML pages from the templates of this folder: each is one file that needs no network."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from caer_ros import __version__

TEMPLATES = Path(__file__).with_name("templates")


def render(template: str, **values: Any) -> str:
    """Fill in a template.

    Text is escaped, so that no name becomes markup.

    Args:
        template: name of a file in ``TEMPLATES``, such as "demo.html.j2".
        values: what the template names; every page has a ``title``.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return _environment().get_template(template).render(values)


def uri(content: bytes, kind: str = "jpeg") -> str:
    """Embed a picture: its bytes as the address of itself; ``kind`` is "jpeg" or "svg+xml"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def anchor(heading: str) -> str:
    """Turn the heading of a section into its id in links: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"uri": uri, "anchor": anchor}
    environment.globals["version"] = __version__
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment
