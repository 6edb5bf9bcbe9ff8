"""Install molehunt beside sigma-cli and convert a rule with it, as docs/osquery_backend.md says.

In an environment of its own: sigma-cli wants a pySigma before 2.0. Exit code 1 if anything fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SIGMA_CLI = "sigma-cli>=3.1,<4"
RULE = """\
title: Tunnel Client Started
id: 5f1c3f0e-6d2b-4a57-9d0c-2b7f0e6f4a11
status: experimental
logsource: {category: process_creation, product: linux}
detection:
    selection:
        Image|endswith: '/chisel'
    condition: selection
level: medium
"""


def converted(home: Path) -> None:
    """Raises CalledProcessError or AssertionError."""
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--disable-pip-version-check", str(ROOT), SIGMA_CLI], check=True)
    rule = home / "rule.yml"
    rule.write_text(RULE, encoding="utf-8")
    assert "osquery" in said(home, "list", "targets")
    assert "pack" in said(home, "list", "formats", "osquery")
    plain = said(home, "convert", "-t", "osquery", str(rule))
    assert "FROM process_events" in plain and "LIKE '%/chisel'" in plain, plain
    pack = json.loads(said(home, "convert", "-t", "osquery", "-f", "pack", str(rule)))
    assert pack["queries"], pack
    assert all(entry["platform"] == "linux" for entry in pack["queries"].values()), pack


def said(home: Path, *arguments: str) -> str:
    """What `sigma` prints to stdout."""
    command = [str(home / "bin" / "sigma"), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=home)
    return done.stdout


def main() -> int:
    """Set up, convert, take down."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            converted(Path(folder, "venv"))
        except subprocess.CalledProcessError as error:
            print(f"sigma-cli: {error}\n{error.stderr or ''}", file=sys.stderr)
            return 1
        except AssertionError as error:
            print(f"sigma-cli: not what was expected: {error}", file=sys.stderr)
            return 1
    print("sigma-cli: lists the target and converts to it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
