"""What has another system find it: pack, compile, prove, deploy."""

from __future__ import annotations

from .common import (
    Commands,
    command,
    rules,
)


def _pack(commands: Commands) -> None:
    parser = command(commands, "pack", "print the osquery pack that feeds the rules")
    rules(parser)
    parser.add_argument("--output", metavar="FILE", help="write it there instead")
    parser.add_argument(
        "--check", action="store_true", help="only check that the file given by --output is current"
    )


def _compile(commands: Commands) -> None:
    text = "compile the rules to what a SIEM or osquery imports"
    parser = command(commands, "compile", text)
    parser.add_argument(
        "-t",
        "--target",
        action="append",
        default=[],
        metavar="TARGET[/PROFILE]",
        help="where it goes (repeatable; --list shows them)",
    )
    rules(parser)
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


def _prove(commands: Commands) -> None:
    text = "run compiled queries on real engines and compare with what the rules match"
    parser = command(commands, "prove", text)
    parser.add_argument("targets", nargs="*", metavar="TARGET[/PROFILE]", help="default: all")
    rules(parser)
    parser.add_argument(
        "--recordings", default="tests/recordings", metavar="FOLDER", help="what they are run over"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="targets that are proven at the same time (default: 1)",
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


_SERVERS = ("elastic", "fleet", "opensearch")


def _deploy(commands: Commands) -> None:
    text = "bring compiled rules to a server, or say what would be done"
    parser = command(commands, "deploy", text)
    parser.add_argument("-t", "--target", choices=_SERVERS, required=True)
    parser.add_argument("--url", required=True, help="of Kibana, the Fleet server or OpenSearch")
    rules(parser)
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
        help="elastic, opensearch: leave out what is less well proven (docs/compile.md)",
    )
    parser.add_argument("--ca", default="", metavar="FILE", help="certificates to trust")


# In the order of the help.
COMMANDS = {
    "pack": _pack,
    "compile": _compile,
    "prove": _prove,
    "deploy": _deploy,
}
