"""A search server as an engine: the user's own where an address is set, or one that is run here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from .layout import Layout
from .server import Distribution, missing
from .session import SearchSession, Send
from .sharing import shared


@dataclass(frozen=True, slots=True)
class Server:
    """`url` is the environment variable with the address of a server of the user's, `distribution`
    what is run without one, `sender` makes of an address what sends requests there."""

    url: str
    distribution: Distribution
    sender: Callable[[str], Send]

    def missing(self) -> str:
        """What is needed to have the engine here; "" if it can be had."""
        if os.environ.get(self.url):
            return ""
        needed = missing(self.distribution)
        return f"{needed}; or a server's address in {self.url}" if needed else ""

    @contextmanager
    def session(self, layout: Layout) -> Iterator[SearchSession]:
        """An index of its own on the user's server, or on one that runs as long as this lasts."""
        given = os.environ.get(self.url)
        with nullcontext(given) if given else shared(self.distribution) as address:
            found = SearchSession(self.sender(address), layout)
            try:
                yield found
            finally:
                found.remove()
