"""What sigma-cli finds: `sigma convert -t osquery`."""

from molehunt.backends.osquery.pysigma import OsqueryBackend

__all__ = ["OsqueryBackend"]
