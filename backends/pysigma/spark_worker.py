"""Spark for worker.py: a script that runs where `pyspark` is installed, and molehunt is not.

A job for each query would take minutes. So one job asks many: `SELECT * FROM logs WHERE c` finds
the rows in which `c` is true, and the job evaluates the same `c`, letter by letter, on every row.
A query of any other form is an error. A job that fails is taken apart to see which query it was.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

_HEAD = "SELECT * FROM logs WHERE "
_PLACE = "molehunt_place"
_SETTINGS = {
    # Each query runs once: to compile it, or have Java compile it well, takes longer than it runs.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def _table(session: Any, file: str, columns: list[str]) -> None:
    from pyspark.sql.types import IntegerType, StringType, StructField, StructType

    session.catalog.clearCache()
    texts = [StructField(one, StringType()) for one in columns]
    schema = StructType([StructField(_PLACE, IntegerType()), *texts])
    rows = session.read.schema(schema).option("mode", "FAILFAST").json(file)
    # What a row does not have is empty in a store as it is wanted (docs/pysigma_backends.md).
    rows.fillna("").coalesce(2).cache().createOrReplaceTempView("logs")


def _answers(session: Any, queries: list[str]) -> list[list[int] | str]:
    answers: list[list[int] | str] = [
        f"not a query that was expected: {query[:60]}" for query in queries
    ]
    known = [n for n, query in enumerate(queries) if query.startswith(_HEAD)]
    conditions = [queries[n][len(_HEAD) :] for n in known]
    for n, said in zip(known, _found(session, conditions), strict=True):
        answers[n] = said
    return answers


def _found(session: Any, conditions: list[str]) -> list[list[int] | str]:
    if not conditions:
        return []
    told = ", ".join(f"IF({one}, '{n}', NULL)" for n, one in enumerate(conditions))
    # array_join leaves out NULL.
    asked = f"SELECT {_PLACE}, array_join(array({told}), ' ') FROM logs"  # noqa: S608
    try:
        rows = session.sql(asked).collect()
    except Exception as error:  # noqa: BLE001 - of Spark, of Java, of py4j: each is an answer
        if len(conditions) == 1:
            return [f"{type(error).__name__}: {error}"[:300]]
        half = len(conditions) // 2
        return [*_found(session, conditions[:half]), *_found(session, conditions[half:])]
    found: list[list[int]] = [[] for _ in conditions]
    for place, numbers in rows:
        for number in numbers.split():
            found[int(number)].append(place)
    return list(found)


def main() -> None:
    """Answer each line of the input."""
    from pyspark.sql import SparkSession

    # What libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    builder = SparkSession.builder.master("local[2]")
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    for line in sys.stdin:
        request = json.loads(line)
        said: dict[str, Any] = {}
        if "table" in request:
            _table(session, request["table"], request["columns"])
        else:
            said["answers"] = _answers(session, request["queries"])
        answers.write(json.dumps(said) + "\n")
        answers.flush()
    session.stop()


if __name__ == "__main__":
    main()
