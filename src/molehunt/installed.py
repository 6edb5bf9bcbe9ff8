"""Which releases of other packages are installed."""

from __future__ import annotations

import os
import sys

_END = ".dist-info"


def release(distribution: str) -> str:
    """The release of a package by its name in lower case: from the name of the folder that its
    installer wrote, since `importlib.metadata` takes long to import.

    Raises importlib.metadata.PackageNotFoundError if it is not there.
    """
    start = distribution.replace("-", "_") + "-"
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        found = [name for name in names if name.lower().startswith(start) and name.endswith(_END)]
        if found:
            if len(found) == 1:
                return found[0][len(start) : -len(_END)]
            break
    from importlib.metadata import version

    return version(distribution)
