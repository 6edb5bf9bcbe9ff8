"""Measure the shipped rules by mutation; put the score into docs/mutation.md (`make mutation`)."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from molehunt.detectors.report.mutation import score_lines

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "mutation.md"
BEGIN, END = "<!-- score -->", "<!-- end of score -->"


def main() -> int:
    """Run `molehunt test --mutate` and write its score between the marks."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "mutation.json")
        command = [sys.executable, "-m", "molehunt", "test", "--mutate", "--format", "json"]
        command += ["--recordings", str(ROOT / "tests" / "recordings"), "--output", str(target)]
        code = subprocess.run(command, check=False).returncode
        score = json.loads(target.read_text(encoding="utf-8"))["score"]
    text = PAGE.read_text(encoding="utf-8")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    table = "\n".join(["```", *(line.rstrip() for line in score_lines(score)), "```"])
    PAGE.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
