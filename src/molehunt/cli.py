"""The command line: arguments in, one command called, its exit code out."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .arguments import authoring, backends, hunting
from .arguments.common import EXITS, Parser
from .exits import Exit
from .problems import UsageError

# New objects before garbage is looked for; Python would look after 700.
MANY = 50_000
COMMANDS = hunting.COMMANDS | authoring.COMMANDS | backends.COMMANDS


def build_parser(only: str = "") -> argparse.ArgumentParser:
    """The parser with all commands, or with `only` one of them, which takes less time."""
    parser = Parser(
        prog="molehunt",
        description="Find remote workers who are not who you hired.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"molehunt {__version__}")
    # Without `prog` the usage is formatted to find out, for which much is imported.
    commands = parser.add_subparsers(
        prog=parser.prog, dest="command", metavar="COMMAND", required=True
    )
    for name in (only,) if only else COMMANDS:
        COMMANDS[name](commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; never raises for what the user did wrong."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    only = words[0] if words and words[0] in COMMANDS else ""
    options = build_parser(only).parse_args(words)
    options.alone = arguments is None
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


def program() -> int:
    """The command of a process of its own. Garbage is looked for seldom, and nothing that is left
    is looked through on the way out: thousands of rules take a third of a second."""
    gc.set_threshold(MANY)
    code = main()
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(program())
