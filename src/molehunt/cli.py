"""The command line: arguments in, one command called, its exit code out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from . import __version__
from .exits import Exit
from .problems import UsageError

LEVELS = ("informational", "low", "medium", "high", "critical")
FORMATS = ("table", "json", "ndjson", "csv", "html", "ocsf", "ecs")
_EXITS = """\
exit codes:
  0  done
  1  something at or above --fail-on was found
  2  part of the input or rules was bad; the good part is done and shown
  3  wrong usage
"""


class _Parser(argparse.ArgumentParser):
    """argparse with this project's exit code for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = _Parser(
        prog="molehunt",
        description="Find remote workers who are not who you hired.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"molehunt {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _hunt(commands)
    _explain(commands)
    _test(commands)
    _coverage(commands)
    _baseline(commands)
    _pack(commands)
    _lock(commands)
    _generate(commands)
    _members(commands)
    return parser


def _command(commands: argparse._SubParsersAction[_Parser], name: str, text: str) -> _Parser:
    return commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rules",
        action="append",
        metavar="PATH",
        help="Sigma rule file or folder (repeatable; default: the rules inside the package)",
    )


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="FILE",
        help="osquery configuration, pack or Fleet YAML that made the log (repeatable)",
    )


def _inputs(parser: argparse.ArgumentParser) -> None:
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


def _hunt(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "hunt", "hunt through logs and show what was found")
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="log file or folder, or - for standard input; plain, gzip or zstd",
    )
    _rules(parser)
    _config(parser)
    _inputs(parser)
    parser.add_argument(
        "--organisation", metavar="FILE", help="your organisation's file: host groups and approvals"
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="table (default), html and csv for people; json, ndjson, ocsf and ecs for machines",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="write it there; with table, the full result as the name ends: "
        ".html, .csv, .ndjson, else JSON",
    )
    parser.add_argument("--since", metavar="TIME", help="only what happened at or after (ISO, UTC)")
    parser.add_argument("--until", metavar="TIME", help="only what happened before (ISO, UTC)")
    parser.add_argument(
        "--level", choices=LEVELS, default="informational", help="show from this level up"
    )
    parser.add_argument(
        "--fail-on", choices=LEVELS, metavar="LEVEL", help="exit with 1 if anything reaches LEVEL"
    )
    parser.add_argument(
        "--stats",
        action="store_true",
        help="say what was read, how queries were bound, and which rules cannot fire",
    )
    parser.add_argument(
        "--engine",
        choices=("fast", "plain", "reference"),
        default="fast",
        help="fast skips lines by literals, plain parses all, reference is the slow evaluator",
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="processes that share the work (default: all cores)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="go on reading as lines are written, through rotation (docs/follow.md)",
    )
    parser.add_argument(
        "--state", metavar="FILE", help="with --follow: keep it there, and go on from there"
    )
    parser.add_argument(
        "--from",
        dest="begin",
        choices=("start", "end"),
        help="with --follow: whether what is there already is read "
        "(default: start with --state, else end)",
    )
    parser.add_argument(
        "--lateness",
        type=_days,
        metavar="DAYS",
        default=7.0,
        help="with --follow: how late a line may be and still meet others (default: 7)",
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _days(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 3660:
        raise argparse.ArgumentTypeError("must be a number of days from 0 to 3660")
    return number


def _explain(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "explain", "show why a rule does or does not match an event")
    parser.add_argument("rule", metavar="RULE", help="rule id (or its beginning), title or file")
    parser.add_argument(
        "event", metavar="EVENT", help="FILE:LINE, FILE:LINE:ROW, a JSON line, or - for stdin"
    )
    _rules(parser)
    _config(parser)
    _inputs(parser)


def _test(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "test", "prove rules on their recordings")
    parser.add_argument(
        "only", nargs="*", metavar="RULE", help="rule id (or its beginning), or title"
    )
    _rules(parser)
    parser.add_argument(
        "--recordings",
        default="tests/recordings",
        metavar="FOLDER",
        help="where the recordings lie",
    )
    parser.add_argument(
        "--show", metavar="SCENARIO", help="print what fires in a scenario, as manifest YAML"
    )
    parser.add_argument(
        "--mutate",
        action="store_true",
        help="take out or turn one condition at a time and show what no recording notices",
    )
    parser.add_argument("--format", choices=("table", "json", "junit"), default="table")
    parser.add_argument("--output", metavar="FILE", help="write it there instead of stdout")


def _coverage(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "coverage", "show which behaviours the rules cover, and how proven")
    _rules(parser)
    parser.add_argument(
        "--recordings",
        default="tests/recordings",
        metavar="FOLDER",
        help="where the recordings lie that prove the rules",
    )
    parser.add_argument(
        "--format",
        choices=("table", "markdown", "html", "json", "navigator"),
        default="table",
        help="html is a page with every rule; navigator is a layer for the ATT&CK Navigator",
    )
    parser.add_argument("--output", metavar="FILE", help="write it there instead of stdout")


def _baseline(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "baseline", "measure over your own logs how noisy each rule is")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="log file or folder, or -")
    _rules(parser)
    _config(parser)
    _inputs(parser)
    parser.add_argument(
        "--organisation",
        metavar="FILE",
        help="your organisation's file: what it approves is no noise",
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--output", metavar="FILE", help="write it there instead of stdout")
    parser.add_argument(
        "--draft", metavar="FILE", help="write a draft of the organisation's file; never overwrites"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(since=None, until=None)


def _pack(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "pack", "print the osquery pack that feeds the rules")
    _rules(parser)
    parser.add_argument("--output", metavar="FILE", help="write it there instead")
    parser.add_argument(
        "--check", action="store_true", help="only check that the file given by --output is current"
    )


def _lock(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "lock", "check the rule lock file, or bring it up to date")
    _rules(parser)
    parser.add_argument("--file", default="rules/rules.lock", metavar="FILE")
    parser.add_argument("--update", action="store_true", help="write it")


def _generate(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "generate", "write the rules that the catalogue of tools makes")
    parser.add_argument(
        "--rules",
        metavar="FOLDER",
        help="rules folder that holds catalogue/ (default: the rules inside the package)",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say which rules are not current"
    )


def _members(commands: argparse._SubParsersAction[_Parser]) -> None:
    text = "check the lists of rules in correlations over many rules, or make them anew"
    parser = _command(commands, "members", text)
    _rules(parser)
    parser.add_argument("--update", action="store_true", help="write them into the files")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; never raises for what the user did wrong."""
    options = build_parser().parse_args(arguments)
    command = import_module(f".commands.{options.command}", __package__)
    try:
        return int(command.run(options))
    except UsageError as error:
        print(f"molehunt {options.command}: {error}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        print(f"molehunt {options.command}: interrupted", file=sys.stderr)
        return Exit.BAD_INPUT
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error worth a trace.
        sys.stderr.close()
        return Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
