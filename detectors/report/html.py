"""Findings as one HTML file for people: no script, nothing loaded from elsewhere, good in print.

The template is report.html.jinja, the style report.css. Whatever the template shows passes through
`_shown` and is escaped by Jinja, so that no log field can write markup or hide anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TextIO

from ..findings.model import Finding
from .safe import printable
from .view import page

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATE = "report.html.jinja"
_STYLE = "report.css"


def write_html(findings: Iterable[Finding], run: Mapping[str, Any], stream: TextIO) -> None:
    """Write the report to `stream`, which should be UTF-8. `run` follows run.schema.json.

    The same input gives the same bytes.
    """
    stream.writelines(template(_TEMPLATE, _STYLE).generate(page=page(findings, run)))


@cache
def template(name: str, *styles: str) -> Template:
    """A template of this folder with its styles; made when it is first used, since Jinja starts
    slowly. Whatever it shows is made visible and escaped."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    style = "".join(map(_read, styles))
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Our own text; and the policy holds for the style only as it stands here.
    own = {"style": Markup(style), "policy": _policy(style)}  # noqa: S704
    return environment.from_string(_read(name), globals=own)


def _shown(value: Any) -> Any:
    """A text with every hidden character visible; markup of our own and anything else as it is."""
    plain_text = isinstance(value, str) and not hasattr(value, "__html__")
    return printable(value) if plain_text else value


def _policy(style: str) -> str:
    """The Content-Security-Policy: nothing may load or run, but this very style.

    https://www.w3.org/TR/CSP3/#grammardef-hash-source
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
