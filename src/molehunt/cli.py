"""The command line: arguments in, one command called, its exit code out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .arguments import authoring, backends, hunting
from .arguments.common import EXITS, Parser
from .exits import Exit
from .problems import UsageError


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = Parser(
        prog="molehunt",
        description="Find remote workers who are not who you hired.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"molehunt {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in (hunting, authoring, backends):
        group.add(commands)
    return parser


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
