"""The examples of docs/findings.md are what the code writes."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_findings import X11VNC

from molehunt.arguments.common import FORMATS
from molehunt.detectors.report.csvfile import HEADER, write_csv
from molehunt.detectors.report.ecs import to_ecs
from molehunt.detectors.report.ocsf import to_ocsf

_DOC = (Path(__file__).parents[1] / "docs" / "findings.md").read_text("utf-8")


def _section(title: str) -> str:
    (found,) = re.findall(rf"^## {title}\n(.*?)(?=^## )", _DOC, re.DOTALL | re.MULTILINE)
    return str(found)


def _example(title: str) -> str:
    (found,) = re.findall(r"^```\w+\n(.*?)^```$", _section(title), re.DOTALL | re.MULTILINE)
    return str(found)


def _is_part(part: Any, whole: Any) -> bool:
    if isinstance(part, dict):
        return all(key in whole and _is_part(part[key], whole[key]) for key in part)
    return bool(part == whole)


def test_the_csv_example_is_what_is_written() -> None:
    """And every column is explained."""
    stream = StringIO(newline="")
    write_csv([X11VNC], stream)
    assert _example("CSV").replace("\n", "\r\n") == stream.getvalue()
    assert all(f"`{column}`" in _section("CSV") for column in HEADER)


@pytest.mark.parametrize(("title", "made"), [("OCSF", to_ocsf(X11VNC)), ("ECS", to_ecs(X11VNC))])
def test_the_examples_for_siems_are_part_of_what_is_written(
    title: str, made: dict[str, Any]
) -> None:
    """And every key of the first level is explained or shown, but OCSF's names of numbers."""
    assert _is_part(json.loads(_example(title)), made)
    for key in made:
        number = {
            f"{key}_id",
            f"{key.removesuffix('_name')}_uid",
            f"{key.removesuffix('_name')}_id",
        }
        told = f"`{key}" in _section(title) or f'"{key}"' in _section(title)
        assert told or number & made.keys(), key


def test_every_format_is_listed() -> None:
    """In the table of formats."""
    assert all(f"`{kind}`" in _section("Formats") for kind in FORMATS)
