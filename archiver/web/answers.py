"""What every answer has: strict headers, and errors as the contract's JSON object (§4).

Nothing a request or a page said is repeated in an answer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from archiver.errors import ArchiverError
from archiver.web.door import Door

log = logging.getLogger("archiver.web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

DOOR = web.AppKey("door", list[Door])
"""One door in a list: a reload of the configuration exchanges it."""

LIVENESS = "/healthz"
"""The one route without a token (contract §5)."""

_METHODS = ("GET", "HEAD")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Server": "archiver",
}

# status → (code, message, what to do next)
_ERRORS = {
    400: ("bad-request", "This is no request.", "Send HTTP/1.1 with GET or HEAD."),
    401: ("unauthorized", "This service wants a token.", "Send it as Bearer or Basic password."),
    404: ("not-found", "There is nothing at this address.", "See /healthz, /readyz, /metrics."),
    405: ("method-not-allowed", "This can only be read.", "Use GET or HEAD."),
    421: (
        "misdirected-request",
        "This service does not answer to that name.",
        "Ask for it as localhost, or add the name to web.allowed_hosts.",
    ),
    500: ("mistake", "The program made a mistake.", "Its log says more."),
    503: ("unavailable", "The database does not answer.", "'archiver status --check' says why."),
}


def json_answer(value: object, status: int = 200) -> web.Response:
    """Answer with one JSON value, in ASCII."""
    return web.Response(
        text=json.dumps(value, indent=2, ensure_ascii=True) + "\n",
        status=status,
        content_type="application/json",
    )


def error_answer(status: int) -> web.Response:
    """Answer with the error object of the contract."""
    code, message, following = _ERRORS.get(status, ("refused", "This cannot be answered.", ""))
    answer = json_answer({"error": {"code": code, "message": message, "next": following}}, status)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="archiver", charset="UTF-8"'
        answer.headers.add("WWW-Authenticate", 'Bearer realm="archiver"')
    if status == 405:
        answer.headers["Allow"] = ", ".join(_METHODS)
    return answer


async def add_headers(_: web.BaseRequest, answer: web.StreamResponse) -> None:
    """Put the strict headers on an answer that is about to go out."""
    answer.headers.update(HEADERS)


@web.middleware
async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request in, or refuse it: its name, its method, its token, in this order."""
    refusal = _refusal(request)
    if refusal is not None:
        return error_answer(refusal)
    try:
        return await handler(request)
    except web.HTTPException as error:
        return error_answer(error.status)
    except ArchiverError as error:
        log.warning("%s was not answered: %s", request.rel_url.path, error)
        return error_answer(503)
    except Exception:
        log.exception("%s was not answered: a mistake of the program", request.rel_url.path)
        return error_answer(500)


def _refusal(request: web.Request) -> int | None:
    door = request.app[DOOR][0]
    # A target with a scheme names another host than the header may (RFC 9112 §3.2.2).
    is_path = request.raw_path.startswith("/")
    if not is_path or not door.knows(request.headers.getall("Host", []), _local(request)):
        return 421
    if request.method not in _METHODS:
        return 405
    if request.path != LIVENESS and not door.admits(_authorization(request)):
        return 401
    return None


def _local(request: web.Request) -> str:
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if name else ""


def _authorization(request: web.Request) -> str | None:
    given = request.headers.getall("Authorization", [])
    return given[0] if len(given) == 1 else None
