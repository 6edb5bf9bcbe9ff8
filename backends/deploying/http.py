"""JSON over HTTP to one server: certificates are checked, redirects are not followed, and what
lets us in is sent nowhere else and never printed."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from ipaddress import ip_address
from typing import IO, Any
from urllib.parse import urlencode, urlsplit

from .plan import DeployError

TIMEOUT = 30.0
TRIES = 4
LONGEST_WAIT = 30.0
_BUSY = (429, 503)
_BETWEEN = (502, 504)  # from a proxy: whether the server did it is not known


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and what came with it: decoded JSON, or text where it was none."""

    status: int
    data: Any


@dataclass(frozen=True)
class Server:
    """`url` is what every path is put behind. `secret` is the value of the Authorization header,
    or ""; `ca` a file with the certificates to trust, or "" for the system's.

    Raises DeployError if the URL would send the secret in the clear to another machine.
    """

    url: str
    secret: str = field(default="", repr=False)
    ca: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DeployError(f"not an http(s) URL: {parts.scheme or '(none)'}://…")
        if parts.username or parts.password:
            raise DeployError("the URL has a password in it; name it in the environment instead")
        if parts.scheme == "http" and not _is_loopback(parts.hostname):
            raise DeployError(f"{parts.hostname} would be spoken to in the clear; use https")

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        accept: tuple[int, ...] = (),
    ) -> Reply:
        """One request. A status of 400 and above raises DeployError, unless it is in `accept`.

        A GET is tried again when the server is busy or goes away; anything else only when it
        says that it is busy, for then it has done nothing.
        """
        for attempt in range(TRIES):
            last = attempt == TRIES - 1
            try:
                reply, wait = self._once(method, path, body, query)
            except OSError as error:
                if method != "GET" or last:
                    raise DeployError(f"{method} {self._shown(path)}: {_why(error)}") from None
                time.sleep(0.1 * 2**attempt)
                continue
            again = reply.status in _BUSY or (method == "GET" and reply.status in _BETWEEN)
            if again and reply.status not in accept and not last:
                time.sleep(min(wait if wait is not None else 0.5 * 2**attempt, LONGEST_WAIT))
                continue
            if reply.status >= 300 and reply.status not in accept:
                raise DeployError(f"{method} {self._shown(path)}: {_refused(reply)}")
            return reply
        raise AssertionError("the last try returns or raises")

    def _once(
        self, method: str, path: str, body: Any, query: Mapping[str, Any] | None
    ) -> tuple[Reply, float | None]:
        url = self.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Accept": "application/json", **self.headers}
        if data is not None:
            headers["Content-Type"] = "application/json"
        if self.secret:
            headers["Authorization"] = self.secret
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - checked
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return Reply(answer.status, _decoded(answer.read())), None
        except urllib.error.HTTPError as error:
            with error:
                wait = error.headers.get("Retry-After", "")
                seconds = float(wait) if wait.isdigit() else None
                return Reply(error.code, _decoded(error.read())), seconds

    @cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:
            raise DeployError(f"--ca: {self.ca}: {error.strerror or error}") from None
        return urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), _NoRedirect()
        )

    def _shown(self, path: str) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}{path}"


def secret_of(environment: Mapping[str, str], scheme: str) -> str:
    """The Authorization header from the environment: `MOLEHUNT_API_KEY` under `scheme` (`ApiKey`,
    `Bearer`), else `MOLEHUNT_USER` with `MOLEHUNT_PASSWORD`; "" if neither is there."""
    key = environment.get("MOLEHUNT_API_KEY", "").strip()
    if key:
        return f"{scheme} {key}"
    user, password = environment.get("MOLEHUNT_USER"), environment.get("MOLEHUNT_PASSWORD")
    if user and password:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data[:500].decode(errors="replace")


def _refused(reply: Reply) -> str:
    if 300 <= reply.status < 400:
        return f"{reply.status}: redirected elsewhere, which is not followed; correct --url"
    if reply.status in (401, 403):
        return f"{reply.status}: not let in; set MOLEHUNT_API_KEY, or MOLEHUNT_USER and _PASSWORD"
    said = reply.data
    if isinstance(said, Mapping):
        said = said.get("message") or said.get("error") or said
    return f"{reply.status}: {str(said)[:300]}"


def _why(error: OSError) -> str:
    reason = getattr(error, "reason", error)
    return str(reason) or type(reason).__name__
