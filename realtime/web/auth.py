"""Which requests the page's server answers, how it reads their bodies, and how it refuses.

Three checks on every request. The `Host` header must be ours: a page of another site whose name was re-pointed to
127.0.0.1 ("DNS rebinding") still sends its own name. The `Origin`, or where the browser sends none `Sec-Fetch-Site`,
must be ours: other pages cannot lie about it. And the request must carry the run's token, which is given once, for the
printed address. There is no cookie: browsers send a host's cookies to all its ports, so to other programs. The page
keeps the token in its origin's storage, which belongs to one port, and sends it in a header.
"""

import hmac
import json
import secrets
from typing import Any, Final

from aiohttp import web

from realtime.errors import MasqueradeError

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""On every answer. No CORS header: no other origin may read anything."""


class Refused(MasqueradeError):
    """A request that is refused: `status` for the program, the line for its user."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


WEBSOCKET = "masquerade"
"""The protocol that a page's WebSocket speaks. Browsers send no header of a page's own with one, so beside this name
the page offers the token as a second protocol."""


class Auth:
    """Hands out one-time codes and the run's token, and checks requests to 127.0.0.1:`port`. Used by one thread."""

    def __init__(self, port: int) -> None:
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.token = secrets.token_urlsafe(32)
        self._codes: set[str] = set()

    def new_code(self) -> str:
        code = secrets.token_urlsafe(32)
        self._codes.add(code)
        return code

    def redeem(self, code: str) -> bool:
        """True for a code never used before; from then on it is used."""
        for known in list(self._codes):
            if _same(known, code):
                self._codes.discard(known)
                return True
        return False

    def check_origin(self, request: web.Request) -> None:
        """Raises Refused where the Host, Origin or Sec-Fetch-Site are not this page's."""
        for name in ("Host", "Origin", "Sec-Fetch-Site", "Authorization"):
            if len(request.headers.getall(name, ())) > 1:
                raise Refused(400, f"the request has two {name} headers")
        host = request.headers.get("Host", "").lower()
        if host not in self.hosts:
            raise Refused(403, "the Host is not this page's")
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{host}":
            raise Refused(403, "the Origin is not this page's")
        if origin is None and request.headers.get("Upgrade", "").lower() == "websocket":
            raise Refused(403, "a WebSocket needs an Origin")
        # Absent in old browsers and in programs, which carry no foreign page.
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise Refused(403, "the request comes from another site")

    def has_token(self, request: web.Request) -> bool:
        """True where the token comes along as a bearer's or as a WebSocket's protocol, or the path's ticket does."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(bearer.strip(), self.token):
            return True
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        if any(_same(protocol.strip(), self.token) for protocol in offered):
            return True
        ticket = request.query.get("ticket", "")
        return request.method in ("GET", "HEAD") and _same(ticket, self.ticket(request.path))

    def ticket(self, path: str) -> str:
        """What opens this one path to an <img>, a <video> or a download, which send no header, while the run lasts."""
        return hmac.digest(self.token.encode(), path.encode("utf-8", "replace"), "sha256").hex()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


AUTH = web.AppKey("auth", Auth)


def refusal(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)


async def read_object(request: web.Request, what: str) -> dict[str, Any]:
    """The JSON object in the body; `what` names its content in refusals. Raises Refused."""
    if request.content_type != "application/json":  # a form of another page can't send it without a preflight request
        raise Refused(415, "send application/json")
    try:
        body = json.loads(await request.text())
    except (ValueError, LookupError, RecursionError) as error:  # LookupError: a charset that nobody knows
        raise Refused(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise Refused(400, f"the body must be an object of {what}")
    return body


async def read_strings(request: web.Request, *names: str) -> list[str]:
    """The named strings of a JSON object that holds just these. Raises Refused."""
    body = await read_object(request, " and ".join(names))
    if set(body) != set(names) or not all(isinstance(value, str) for value in body.values()):
        raise Refused(400, f"the body must hold the text{'s' if len(names) > 1 else ''} {', '.join(names)}")
    return [body[name] for name in names]
