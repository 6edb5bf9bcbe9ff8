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
SEVERITIES = ("error", "warning", "info", "hint")
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
    _lint(commands)
    _new(commands)
    _tune(commands)
    _coverage(commands)
    _baseline(commands)
    _pack(commands)
    _compile(commands)
    _prove(commands)
    _deploy(commands)
    _live(commands)
    _sweep(commands)
    _diff(commands)
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


def _lint(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "lint", "find what is wrong or doubtful in Sigma rules")
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="Sigma rule file or folder (default: the rules inside the package)",
    )
    parser.add_argument(
        "--format", choices=("text", "json", "sarif", "github", "junit"), default="text"
    )
    parser.add_argument("--output", metavar="FILE", help="write it there instead of stdout")
    parser.add_argument(
        "--level", choices=SEVERITIES, default="info", help="show from this severity up"
    )
    parser.add_argument(
        "--fail-on",
        choices=(*SEVERITIES, "never"),
        default="warning",
        help="exit with 1 if anything reaches this severity (default: warning)",
    )
    for name, text in (("--select", "only these checks"), ("--ignore", "all but these checks")):
        parser.add_argument(
            name, action="append", default=[], metavar="ID", help=f"{text}: MH104, MH1, bare-domain"
        )
    parser.add_argument("--fix", action="store_true", help="mend what is safe to mend")
    parser.add_argument(
        "--validators",
        action="store_true",
        help="run the validators of pySigma, and of SigmaHQ if they are installed, too (slow)",
    )
    parser.add_argument(
        "--recordings",
        metavar="FOLDER",
        help="where the recordings lie that prove the rules (default: tests/recordings if there)",
    )
    parser.add_argument("--no-cache", action="store_true", help="look at unchanged files again")
    parser.add_argument("--list", action="store_true", help="list the checks")
    parser.add_argument("--explain", metavar="ID", help="say what a check is about")


def _new(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "new", "begin a rule with its recordings and a proof that fails")
    parser.add_argument("title", metavar="TITLE", help="title of the rule")
    parser.add_argument(
        "--query",
        required=True,
        metavar="NAME",
        help="query of the pack that feeds it: process_events, usb_devices_linux, ...",
    )
    parser.add_argument("--folder", default="rules", metavar="FOLDER", help="where the rule goes")
    parser.add_argument(
        "--recordings",
        default="tests/recordings",
        metavar="FOLDER",
        help="where the recording goes",
    )


def _tune(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "tune", "propose a Sigma filter from false positives of a rule")
    parser.add_argument("rule", metavar="RULE", help="rule id (or its beginning), title or file")
    parser.add_argument(
        "events", nargs="+", metavar="EVENT", help="false positive: FILE:LINE or FILE:LINE:ROW"
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="EVENT",
        help="true positive that must stay, beside the recorded ones (repeatable)",
    )
    _rules(parser)
    _config(parser)
    parser.add_argument(
        "--recordings",
        default="tests/recordings",
        metavar="FOLDER",
        help="where the recordings lie that prove the rule",
    )
    parser.add_argument("--output", metavar="FILE", help="write it there; never overwrites")


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


def _compile(commands: argparse._SubParsersAction[_Parser]) -> None:
    text = "compile the rules to what a SIEM or osquery imports"
    parser = _command(commands, "compile", text)
    parser.add_argument(
        "-t",
        "--target",
        action="append",
        default=[],
        metavar="TARGET[/PROFILE]",
        help="where it goes (repeatable; --list shows them)",
    )
    _rules(parser)
    parser.add_argument(
        "-o", "--output", default="dist", metavar="FOLDER", help="write there (default: dist)"
    )
    parser.add_argument(
        "--min-evidence",
        choices=("none", "schema", "parser", "emulator", "engine"),
        default="none",
        help="leave out what is less well proven (docs/compile.md)",
    )
    parser.add_argument(
        "--organisation", metavar="FILE", help="your organisation's file: approvals go with it"
    )
    parser.add_argument("--list", action="store_true", help="list targets and profiles")


def _prove(commands: argparse._SubParsersAction[_Parser]) -> None:
    text = "run compiled queries on real engines and compare with what the rules match"
    parser = _command(commands, "prove", text)
    parser.add_argument("targets", nargs="*", metavar="TARGET[/PROFILE]", help="default: all")
    _rules(parser)
    parser.add_argument(
        "--recordings", default="tests/recordings", metavar="FOLDER", help="what they are run over"
    )
    parser.add_argument(
        "--require", action="store_true", help="an engine that is not to be had is an error"
    )
    parser.add_argument(
        "--update",
        nargs="?",
        const="backends/support.lock",
        metavar="FILE",
        help="write what was found into the support lock",
    )


def _deploy(commands: argparse._SubParsersAction[_Parser]) -> None:
    text = "bring compiled rules to a server, or say what would be done"
    parser = _command(commands, "deploy", text)
    parser.add_argument("-t", "--target", choices=("elastic", "fleet"), required=True)
    parser.add_argument("--url", required=True, help="of Kibana, or of the Fleet server")
    _rules(parser)
    parser.add_argument("--apply", action="store_true", help="do it; without, nothing is changed")
    parser.add_argument(
        "--prune", action="store_true", help="remove what molehunt put there and no longer ships"
    )
    parser.add_argument("--remove", action="store_true", help="remove all that molehunt put there")
    parser.add_argument("--profile", default="", help="elastic: how osquery's rows are stored")
    parser.add_argument("--space", default="", help="elastic: the Kibana space")
    parser.add_argument("--team", type=int, metavar="ID", help="fleet: the team")
    parser.add_argument(
        "--min-evidence",
        choices=("none", "schema", "parser", "emulator", "engine"),
        default="none",
        help="elastic: leave out what is less well proven (docs/compile.md)",
    )
    parser.add_argument("--ca", default="", metavar="FILE", help="certificates to trust")


def _diff(commands: argparse._SubParsersAction[_Parser]) -> None:
    text = "show what changed in rules, compiled queries and fired recordings since a revision"
    parser = _command(commands, "diff", text)
    parser.add_argument("revision", metavar="REV", help="a revision of the Git repository")
    _rules(parser)
    parser.add_argument(
        "-t",
        "--target",
        action="append",
        default=[],
        metavar="TARGET[/PROFILE]",
        help="compare the queries compiled for it too (repeatable)",
    )
    parser.add_argument(
        "--recordings", default="tests/recordings", metavar="FOLDER", help="what rules fire on"
    )
    parser.add_argument("--format", choices=("text", "markdown"), default="text")
    parser.add_argument("--output", metavar="FILE", help="write it there instead of stdout")
    parser.add_argument(
        "--check",
        action="store_true",
        help="fail on a changed meaning with the same version, an id used again, "
        "and a rule that is gone and not in deprecated.yml",
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


def _live(commands: argparse._SubParsersAction[_Parser]) -> None:
    parser = _command(commands, "live", "ask a running osqueryd and hunt through what it answers")
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default="/var/osquery/osquery.em",
        help="osqueryd's extension socket (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout", type=_positive, metavar="SECONDS", default=60, help="for one query"
    )
    _hunting(parser)


def _sweep(commands: argparse._SubParsersAction[_Parser]) -> None:
    text = "print ten questions for osqueryi, Fleet or Kibana, and hunt through the answers"
    parser = _command(commands, "sweep", text)
    parser.add_argument(
        "--system", choices=("linux", "darwin", "windows"), default="linux", help="of the hosts"
    )
    parser.add_argument(
        "--questions", choices=("sql", "json"), default="sql", help="how they are printed"
    )
    parser.add_argument(
        "--read",
        action="append",
        metavar="FILE",
        help="answers: JSON, NDJSON or CSV of osqueryi, fleetctl, Fleet or Kibana (repeatable)",
    )
    _hunting(parser)


def _hunting(parser: argparse.ArgumentParser) -> None:
    """What is passed on to the hunt through answers."""
    _rules(parser)
    _inputs(parser)
    parser.add_argument(
        "--organisation", metavar="FILE", help="your organisation's file: host groups and approvals"
    )
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument("--output", metavar="FILE", help="write it there")
    parser.add_argument("--level", choices=LEVELS, default="informational")
    parser.add_argument("--fail-on", choices=LEVELS, metavar="LEVEL")
    parser.add_argument(
        "--log", metavar="FILE", help="keep the answers there, in osquery's log format"
    )


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
