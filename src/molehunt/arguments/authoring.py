"""What rules are written, proven and reviewed with."""

from __future__ import annotations

from .common import (
    FAIL_ON,
    SEVERITIES,
    Commands,
    command,
    config,
    rules,
)


def _test(commands: Commands) -> None:
    parser = command(commands, "test", "prove rules on their recordings")
    parser.add_argument(
        "only", nargs="*", metavar="RULE", help="rule id (or its beginning), or title"
    )
    rules(parser)
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


def _lint(commands: Commands) -> None:
    text = "find what is wrong or doubtful in Sigma rules"
    parser = command(commands, "lint", text, FAIL_ON)
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


def _new(commands: Commands) -> None:
    text = "begin a rule with its recordings and a proof that fails"
    parser = command(commands, "new", text, "the proof of what was written does not fail")
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


def _tune(commands: Commands) -> None:
    text = "propose a Sigma filter from false positives of a rule"
    parser = command(commands, "tune", text, "no filter keeps the true positives")
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
    rules(parser)
    config(parser)
    parser.add_argument(
        "--recordings",
        default="tests/recordings",
        metavar="FOLDER",
        help="where the recordings lie that prove the rule",
    )
    parser.add_argument("--output", metavar="FILE", help="write it there; never overwrites")


def _coverage(commands: Commands) -> None:
    parser = command(commands, "coverage", "show which behaviours the rules cover, and how proven")
    rules(parser)
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


def _diff(commands: Commands) -> None:
    text = "show what changed in rules, compiled queries and fired recordings since a revision"
    parser = command(commands, "diff", text)
    parser.add_argument("revision", metavar="REV", help="a revision of the Git repository")
    rules(parser)
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


def _lock(commands: Commands) -> None:
    parser = command(commands, "lock", "check the rule lock file, or bring it up to date")
    rules(parser)
    parser.add_argument("--file", default="rules/rules.lock", metavar="FILE")
    parser.add_argument("--update", action="store_true", help="write it")


def _generate(commands: Commands) -> None:
    parser = command(commands, "generate", "write the rules that the catalogue of tools makes")
    parser.add_argument(
        "--rules",
        metavar="FOLDER",
        help="rules folder that holds catalogue/ (default: the rules inside the package)",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; say which rules are not current"
    )


def _members(commands: Commands) -> None:
    text = "check the lists of rules in correlations over many rules, or make them anew"
    parser = command(commands, "members", text)
    rules(parser)
    parser.add_argument("--update", action="store_true", help="write them into the files")


# In the order of the help.
COMMANDS = {
    "test": _test,
    "lint": _lint,
    "new": _new,
    "tune": _tune,
    "coverage": _coverage,
    "diff": _diff,
    "lock": _lock,
    "generate": _generate,
    "members": _members,
}
