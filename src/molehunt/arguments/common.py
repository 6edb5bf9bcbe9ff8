"""The parser, and arguments that several commands take."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn, TypeAlias

from ..exits import Exit

LEVELS = ("informational", "low", "medium", "high", "critical")
SEVERITIES = ("error", "warning", "info", "hint")
FORMATS = ("table", "json", "ndjson", "csv", "html", "ocsf", "ecs")
FAIL_ON = "something at or above --fail-on was found"
EXITS = """\
exit codes:
  0  done
{}  2  part of the input or rules was bad, or a check failed; the good part is done and shown
  3  wrong usage
"""


class Parser(argparse.ArgumentParser):
    """argparse with this project's exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - has no public name


def command(commands: Commands, name: str, text: str, found: str = "") -> Parser:
    """A new command with its help, ready for its arguments. `found` says when it exits with 1, if
    it ever does."""
    return commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=EXITS.format(f"  1  {found}\n" if found else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def rules(parser: argparse.ArgumentParser) -> None:
    """Where the rules are."""
    parser.add_argument(
        "--rules",
        action="append",
        metavar="PATH",
        help="Sigma rule file or folder (repeatable; default: the rules inside the package)",
    )


def config(parser: argparse.ArgumentParser) -> None:
    """What made the log."""
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="osquery configuration, pack or Fleet YAML that made the log (repeatable)",
    )


def inputs(parser: argparse.ArgumentParser) -> None:
    """What only an organisation has."""
    parser.add_argument(
        "--entities",
        metavar="FILE",
        help="CSV of your people: host, user, groups, start_date, end_date, ship_to",
    )
    parser.add_argument(
        "--mmdb",
        action="append",
        default=[],
        metavar="FILE",
        help="your own MaxMind-format database of countries, places or networks (repeatable)",
    )


def positive(text: str) -> int:
    """A whole number from 1; raises ArgumentTypeError."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def count(text: str) -> int:
    """A whole number from 0; raises ArgumentTypeError."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def top(parser: argparse.ArgumentParser) -> None:
    """How much of the table is shown."""
    parser.add_argument(
        "--top",
        type=count,
        metavar="N",
        help="of the table, the N most severe findings (0: all; default: all, on a terminal 50)",
    )


def days(text: str) -> float:
    """Days, up to ten years; raises ArgumentTypeError."""
    number = float(text)
    if not 0 <= number <= 3660:
        raise argparse.ArgumentTypeError("must be a number of days from 0 to 3660")
    return number


def hunting(parser: argparse.ArgumentParser) -> None:
    """What is passed on to the hunt through answers."""
    rules(parser)
    inputs(parser)
    parser.add_argument(
        "--organisation", metavar="FILE", help="your organisation's file: host groups and approvals"
    )
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("--output", metavar="FILE", help="write it there")
    parser.add_argument("--level", choices=LEVELS, default="informational")
    top(parser)
    parser.add_argument("--fail-on", choices=LEVELS, metavar="LEVEL")
    parser.add_argument(
        "--log", metavar="FILE", help="keep the answers there, in osquery's log format"
    )
