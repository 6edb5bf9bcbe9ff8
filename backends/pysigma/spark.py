"""Apache Spark itself, for Databricks: `pyspark` in an environment of its own (fetching.py).

It is the SQL of Databricks without Photon, Databricks' own engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..java import java_home
from ..model import Engine, Evidence, Profile
from .fetching import PYSPARK
from .worker import Session, working

_JAVA = 17  # https://spark.apache.org/docs/latest/#downloading
_TOGETHER = 300  # queries in one job


def missing() -> str:
    """What is needed, or ""."""
    if not PYSPARK.python.exists():
        return f"{PYSPARK.called}, which `make stores` gets"
    return "" if java_home(_JAVA) else f"a JDK {_JAVA} or newer, or its folder in JAVA_HOME"


@contextmanager
def _open(profile: Profile) -> Iterator[Session]:
    settings = {
        "JAVA_HOME": str(java_home(_JAVA)),
        "SPARK_HOME": str(PYSPARK.site / "pyspark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with working(PYSPARK.python, "spark_worker.py", profile, _TOGETHER, settings) as session:
        yield session


SPARK = Engine("spark", Evidence.ENGINE, missing, _open)
