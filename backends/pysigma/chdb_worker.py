"""ClickHouse for worker.py: a script that runs where `chdb` is installed, and molehunt is not."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_HEAD = "SELECT * FROM logs WHERE "
_PLACE = "molehunt_place"


def _table(database: Any, file: str, columns: list[str]) -> None:
    typed = ", ".join((f"{_PLACE} UInt32", *(f"`{one}` String" for one in columns)))
    database.query("DROP TABLE IF EXISTS logs")
    database.query(f"CREATE TABLE logs ({typed}) ENGINE = Memory")
    database.query(f"INSERT INTO logs SELECT * FROM file('{file}', JSONEachRow, '{typed}')")  # noqa: S608


def _found(database: Any, query: str) -> list[int] | str:
    """The query as it stands, but for which columns it shows."""
    if not query.startswith(_HEAD):
        return f"not a query that was expected: {query[:60]}"
    try:
        asked = f"SELECT {_PLACE} FROM logs WHERE {query[len(_HEAD) :]}"  # noqa: S608
        return [int(one) for one in database.query(asked, "TSV").bytes().split()]
    except (RuntimeError, ValueError) as error:
        return str(error)[:300] or type(error).__name__


def main() -> None:
    """Answer each line of the input."""
    from chdb.session import Session

    # What libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    database = Session()
    for line in sys.stdin:
        request = json.loads(line)
        said: dict[str, Any] = {}
        if "table" in request:
            _table(database, request["table"], request["columns"])
        else:
            said["answers"] = [_found(database, query) for query in request["queries"]]
        answers.write(json.dumps(said) + "\n")
        answers.flush()
    database.cleanup()


if __name__ == "__main__":
    main()
