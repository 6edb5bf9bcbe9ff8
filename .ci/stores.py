"""Have ClickHouse, Spark and VictoriaLogs for `molehunt prove`: `make stores`.

They go to the cache (MOLEHUNT_ENGINES, by default ~/.cache/molehunt/engines), 1.6 GB in all; what
is there already costs nothing. Exit code 1 if one of them is missing afterwards.
"""

from __future__ import annotations

import sys
from time import monotonic

from molehunt.backends.pysigma.fetching import (
    CHDB,
    PYSPARK,
    VICTORIALOGS,
    Environment,
    NotFetched,
    build,
    install,
)
from molehunt.backends.pysigma.spark import SPARK


def main() -> int:
    """All three; one that cannot be had does not keep the others from coming."""
    missing = []
    for one in (VICTORIALOGS, CHDB, PYSPARK):
        start = monotonic()
        try:
            new = install(one) if isinstance(one, Environment) else build(one)
        except NotFetched as error:
            missing.append(str(error))
        else:
            how = f"fetched in {monotonic() - start:.0f} s" if new else "is there"
            print(f"{one.store} ({one.called}) {how}")
    # Java does not come with Spark.
    if PYSPARK.python.exists() and SPARK.missing():
        missing.append(f"Spark needs {SPARK.missing()}")
    for why in missing:
        print(f"stores: {why}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
