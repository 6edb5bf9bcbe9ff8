"""Which system a row is of, as far as its own values and its query's name tell.

Where a query may run on several systems, the rules of all of them look at its rows; a path that
only one system spells so rules the others out, and so does a name such as `linux-processes`, and a
value in a column that one system has: on others it is hidden, and says nothing if a query asks for
it (`extended_schema` in osquery's tools/codegen/gentable.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from molehunt.rule import Rule
from molehunt.schema import table

from ..records import Binding, Origin, Row
from .fields import systems_of

# Columns that hold a path on the host itself, in one table or another.
_PATHS = frozenset(
    "path cmdline cwd root directory target_path executable program module_path image_path "
    "install_location script_file_name".split()
)
_POSIX = frozenset(("linux", "darwin"))
_SPELLED = (
    (re.compile(r'"?(?:[A-Za-z]:\\|%[A-Za-z]+%\\|\\\\\?\\|\\Device\\HarddiskVolume)'), {"windows"}),
    # What macOS alone has at the root of the file system (Apple's File System Programming Guide).
    (re.compile(r'"?/(?:Applications|Library|System|Users|Volumes|private)/'), {"darwin"}),
    # And what Linux has (hier(7)), and where it mounts an AppImage that runs.
    (
        re.compile(
            r'"?/(?:home|proc|root|run|snap|sys)/|"?/(?:usr/)?lib/systemd/|"?/tmp/\.mount_\w+/'
        ),
        {"linux"},
    ),
    (re.compile("/"), _POSIX),
)


# What a column may say that nothing has filled; tables of typed rows have numbers there.
_NOTHING = (None, "", "0", "-1", 0, -1)
# Words of a query's name that say its system. "mac" is an address, more often.
_NAMED = {"linux": "linux", "darwin": "darwin", "macos": "darwin", "windows": "windows"}
_WORD = re.compile(r"[a-z]+")


def other_system(rule: Rule, binding: Binding) -> Callable[[Row], bool] | None:
    """Tells rows that are of another system than the rule; None if the query's rows tell nothing,
    or nothing that matters.

    A query of molehunt's own pack says its systems itself, and events are those of Windows.
    """
    wanted = systems_of(rule)
    if not wanted or binding.how in ("pack", "source", "event") or binding.shape is None:
        return None
    if binding.platforms and binding.platforms <= wanted:
        return None
    columns, named = _path_columns(binding.provenance), _named(binding.query)
    of_some = _of_some(binding.provenance)
    if not columns and not named and not of_some:
        return None

    def other(row: Row) -> bool:
        told = set(named) or {"windows", *_POSIX}
        for column in columns:
            value = row.values.get(column)
            if isinstance(value, str):
                told &= next((of for spelled, of in _SPELLED if spelled.match(value)), told)
        for column, systems in of_some:
            if row.values.get(column) not in _NOTHING:
                told &= systems
        return bool(told) and told.isdisjoint(wanted)

    return other


def _named(query: str) -> frozenset[str]:
    """The one system that a query's name says; none if it says none or several."""
    found = {_NAMED[word] for word in _WORD.findall(query.lower()) if word in _NAMED}
    return frozenset(found if len(found) == 1 else ())


def _of_some(provenance: Mapping[str, Origin | None]) -> tuple[tuple[str, frozenset[str]], ...]:
    """The columns that only some systems have, each with these."""
    found = []
    for name, origin in sorted(provenance.items()):
        known = table(origin.table) if origin else None
        column = known.column(origin.column) if known and origin else None
        if column is not None and column.platforms:
            found.append((name, column.platforms))
    return tuple(found)


def _path_columns(provenance: Mapping[str, Origin | None]) -> tuple[str, ...]:
    return tuple(
        sorted(name for name, origin in provenance.items() if origin and origin.column in _PATHS)
    )
