"""What finds here: hunt, explain, baseline, live, sweep."""

from __future__ import annotations

from .common import (
    FAIL_ON,
    FORMATS,
    LEVELS,
    Commands,
    command,
    config,
    days,
    hunting,
    inputs,
    positive,
    rules,
    top,
)


def _hunt(commands: Commands) -> None:
    parser = command(commands, "hunt", "hunt through logs and show what was found", FAIL_ON)
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="log file or folder, or - for standard input; plain, gzip or zstd",
    )
    rules(parser)
    config(parser)
    inputs(parser)
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
    top(parser)
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
        type=positive,
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
        type=days,
        metavar="DAYS",
        default=7.0,
        help="with --follow: how late a line may be and still meet others (default: 7)",
    )


def _explain(commands: Commands) -> None:
    parser = command(commands, "explain", "show why a rule does or does not match an event")
    parser.add_argument("rule", metavar="RULE", help="rule id (or its beginning), title or file")
    parser.add_argument(
        "event", metavar="EVENT", help="FILE:LINE, FILE:LINE:ROW, a JSON line, or - for stdin"
    )
    rules(parser)
    config(parser)
    inputs(parser)


def _baseline(commands: Commands) -> None:
    parser = command(commands, "baseline", "measure over your own logs how noisy each rule is")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="log file or folder, or -")
    rules(parser)
    config(parser)
    inputs(parser)
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


def _live(commands: Commands) -> None:
    text = "ask a running osqueryd and hunt through what it answers"
    parser = command(commands, "live", text, FAIL_ON)
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default="/var/osquery/osquery.em",
        help="osqueryd's extension socket (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout", type=positive, metavar="SECONDS", default=60, help="for one query"
    )
    hunting(parser)


def _sweep(commands: Commands) -> None:
    text = "print ten questions for osqueryi, Fleet or Kibana, and hunt through the answers"
    parser = command(commands, "sweep", text, FAIL_ON)
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
    hunting(parser)


# In the order of the help.
COMMANDS = {
    "hunt": _hunt,
    "explain": _explain,
    "baseline": _baseline,
    "live": _live,
    "sweep": _sweep,
}
