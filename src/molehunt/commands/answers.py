"""Hunt through answers that were asked for, as if osquery had logged them."""

from __future__ import annotations

import json
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..exits import Exit

_INPUTS = ("rules", "organisation", "entities", "mmdb")
_PASSED = (*_INPUTS, "format", "output", "level", "top", "fail_on")


def hunt_in(lines: Iterable[Mapping[str, Any]], options: Namespace) -> Exit:
    """`molehunt hunt` over the lines. `options.log` names a file to keep them in."""
    from ..cli import build_parser
    from .hunt import run

    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.log or Path(folder, "answers.log"))
        with path.open("w", encoding="utf-8") as log:
            for line in lines:
                log.write(json.dumps(line, ensure_ascii=False) + "\n")
        hunting = build_parser().parse_args(["hunt", str(path), "--quiet"])
        for name in _PASSED:
            setattr(hunting, name, getattr(options, name))
        return run(hunting)
