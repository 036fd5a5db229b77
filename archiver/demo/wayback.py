"""An archive.org stand-in on loopback: save, index, availability, playback.

For rehearsals and tests. It answers in the shapes of reference wayback §§1–4, sees pages
through a function it is given, and can be told to misbehave in every way that file describes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, unquote, urljoin

from aiohttp import web
from multidict import CIMultiDict

from archiver.clock import Clock
from archiver.demo.seen import Seen
from archiver.demo.wayback_memory import FIELDS, ArchiveMemory, StoredCapture
from archiver.records import record

See = Callable[[str], Awaitable[Seen]]

SERVICES = frozenset(
    {"save", "spn2", "status", "user", "system", "cdx", "playback", "availability", "unknown"}
)

# Reference wayback §1.8: what Save Page Now says of a page that answers with an error.
STATUS_CODES: Mapping[int, str] = {
    400: "bad-request",
    401: "unauthorized",
    403: "no-access",
    404: "not-found",
    405: "method-not-allowed",
    410: "not-found",
    429: "too-many-requests",
    501: "not-implemented",
    502: "bad-gateway",
    503: "service-unavailable",
    504: "gateway-timeout",
    509: "bandwidth-limit-exceeded",
    999: "blocked",
}
# Reference wayback §3.3.
EXCLUSION = (
    "org.archive.util.io.RuntimeIOException: "
    "org.archive.wayback.exception.AdministrativeAccessControlException: Blocked Site Error"
)
# Long enough to be a page: a verification wants more than 512 bytes (reference wayback §9.3).
ARCHIVED_PAGE = f"<html><body>{'<p>A line of the page that was captured.</p>' * 16}</body></html>"
NOT_ARCHIVED = "<html><body>The Wayback Machine has not archived that URL.</body></html>"


@record
class Scripted:
    """An answer the stand-in was told to give.

    `hang` is in seconds; `reset` breaks the connection instead of answering.
    """

    status: int = 200
    body: str | bytes = ""
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    reset: bool = False

    @classmethod
    def json(cls, value: object, status: int = 200) -> Scripted:
        """Make a JSON answer."""
        return cls(status, json.dumps(value), "application/json")


@record
class Request:
    """One request the stand-in got; `authorized` says whether it carried keys, never which."""

    service: str
    method: str
    target: str
    url: str
    at: datetime
    form: Mapping[str, str] = field(default_factory=dict)
    authorized: bool = False
    user_agent: str = ""


@dataclass
class _Script:
    service: str
    pattern: re.Pattern[str]
    response: Scripted
    left: int | None


@dataclass
class _Job:
    job_id: str
    url: str
    ready_at: datetime
    answer: dict[str, object]


class WaybackStandIn:
    """The stand-in; `start()` binds 127.0.0.1 on a port of the system's choice.

    `see` tells what a crawler gets of one URL (one hop). `keys` are the accepted account keys,
    None for any. `index_lag` is how long a new capture stays out of the index, `job_time` how
    long a capture job takes, on the given clock.
    """

    def __init__(
        self,
        clock: Clock,
        see: See,
        *,
        keys: tuple[str, str] | None = None,
        index_lag: timedelta = timedelta(0),
        job_time: timedelta = timedelta(0),
        slots: int = 3,
        daily_limit: int = 30_000,
    ) -> None:
        """Begin with an empty memory and no script."""
        self.memory = ArchiveMemory()
        self.requests: list[Request] = []
        self.index_lag, self.job_time = index_lag, job_time
        self.slots, self.daily_limit = slots, daily_limit
        self._clock, self._see, self._keys = clock, see, keys
        self._scripts: list[_Script] = []
        self._jobs: dict[str, _Job] = {}
        self._saved: list[tuple[str, datetime]] = []
        self._runner: web.AppRunner | None = None
        self.origin = ""

    async def start(self) -> None:
        """Serve until `stop`."""
        application = web.Application(client_max_size=2**20)
        application.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.origin = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Close every connection and the port."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def save_url(self) -> str:
        """Where captures are asked for."""
        return self.origin + "/save"

    @property
    def cdx_url(self) -> str:
        """Where the index is."""
        return self.origin + "/cdx/search/cdx"

    @property
    def playback_url(self) -> str:
        """Where captures are played."""
        return self.origin + "/web"

    @property
    def availability_url(self) -> str:
        """Where availability is told."""
        return self.origin + "/wayback/available"

    @property
    def endpoints(self) -> str:
        """Where all of these are, as lines of a configuration's `[archive]`."""
        names = ("save_url", "cdx_url", "playback_url", "availability_url")
        return "\n".join(f'{name} = "{getattr(self, name)}"' for name in names)

    def add_capture(
        self,
        url: str,
        when: datetime,
        status: int = 200,
        body: str | bytes = ARCHIVED_PAGE,
        headers: Mapping[str, str] | None = None,
        *,
        is_revisit: bool = False,
    ) -> str:
        """Remember a capture as if it had been made long ago; return its address."""
        raw = body.encode() if isinstance(body, str) else body
        kept = {"content-type": "text/html; charset=utf-8", **(headers or {})}
        capture = StoredCapture(url, when, status, raw, kept, is_revisit=is_revisit)
        self.memory.add(capture)
        return f"{self.playback_url}/{capture.timestamp}/{url}"

    def exclude(self, host: str) -> None:
        """Hide every capture of a host."""
        self.memory.excluded.add(host.removeprefix("www."))

    def script(
        self, service: str, pattern: str, response: Scripted, *, times: int | None = None
    ) -> None:
        """Answer requests of a service whose URL matches a pattern so, `times` times.

        Services: `save spn2 status user system cdx playback availability unknown`; for `status` the
        pattern is matched against the job ids.
        """
        if service not in SERVICES:
            raise ValueError(f"no such service: {service}")
        self._scripts.append(_Script(service, re.compile(pattern), response, times))

    def clear_scripts(self) -> None:
        """Behave again."""
        self._scripts.clear()

    def asked(self, service: str, url: str | None = None) -> list[Request]:
        """Return the requests of one service, of one URL when given."""
        return [
            each
            for each in self.requests
            if each.service == service and (url is None or each.url == url)
        ]

    # ------------------------------------------------------------- dispatch

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        target = request.raw_path
        form = {name: str(value) for name, value in (await request.post()).items()}
        service, url = _service(request.method, target, form)
        self.requests.append(
            Request(
                service,
                request.method,
                target,
                url,
                self._clock.now(),
                form,
                "Authorization" in request.headers,
                request.headers.get("User-Agent", ""),
            )
        )
        if (scripted := self._scripted(service, url)) is not None:
            return await _play(scripted, request)
        handlers: Mapping[str, Callable[[web.Request, str], Awaitable[web.StreamResponse]]] = {
            "save": self._save_anonymously,
            "spn2": self._submit,
            "status": self._job_status,
            "user": self._user_status,
            "system": self._system_status,
            "cdx": self._index,
            "playback": self._playback,
            "availability": self._availability,
        }
        handler = handlers.get(service)
        return await handler(request, url) if handler else web.Response(status=404)

    def _scripted(self, service: str, url: str) -> Scripted | None:
        for each in self._scripts:
            if each.service == service and each.pattern.search(url) and each.left != 0:
                if each.left is not None:
                    each.left -= 1
                return each.response
        return None

    # ----------------------------------------------------------------- save

    async def _capture(self, url: str) -> tuple[list[StoredCapture], str]:
        """Capture a page behind up to three redirects; return all captures, or the error."""
        made: list[StoredCapture] = []
        address, now = url, self._clock.now()
        for hop in range(4):
            seen = await self._see(address)
            if seen.status is None or seen.status >= 400:
                return [], seen.error or STATUS_CODES.get(seen.status or 0, "no-captures")
            capture = StoredCapture(
                address,
                now + timedelta(seconds=hop),
                seen.status,
                seen.body,
                {**seen.headers, **({"location": seen.location} if seen.location else {})},
                indexed_at=now + self.index_lag,
            )
            made.append(self.memory.add(capture))
            if seen.location is None:
                self._saved.append((url, now))
                return made, ""
            address = urljoin(address, seen.location)
        return [], "too-many-redirects"

    async def _save_anonymously(self, _: web.Request, url: str) -> web.StreamResponse:
        if self.memory.is_excluded(url):
            return web.Response(status=403, text="excluded", content_type="text/html")
        made, error = await self._capture(url)
        if not made:
            text = f"<html><body>Job failed ({error}).</body></html>"
            return web.Response(status=520, text=text, content_type="text/html")
        location = f"{self.playback_url}/{made[0].timestamp}/{url}"
        return web.Response(status=302, headers={"Location": location})

    async def _submit(self, request: web.Request, url: str) -> web.StreamResponse:
        if not self._knows(request):
            message = "You need to be logged in to use Save Page Now."
            return web.json_response({"message": message}, status=401)
        if "application/json" not in request.headers.get("Accept", ""):
            return web.Response(text="<html>spn.watchJob()</html>", content_type="text/html")
        now = self._clock.now()
        form = {name: str(value) for name, value in (await request.post()).items()}
        if refusal := self._refuse(url, form, now):
            return web.json_response(refusal)
        job_id = "spn2-" + hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
        made, error = await self._capture(url)
        answer = _job_answer(job_id, url, made[-1] if made else None, error)
        self._jobs[job_id] = _Job(job_id, url, now + self.job_time, answer)
        return web.json_response({"url": url, "job_id": job_id})

    def _knows(self, request: web.Request) -> bool:
        header = request.headers.get("Authorization", "")
        if self._keys is None:
            return header.startswith("LOW ")
        return header == f"LOW {self._keys[0]}:{self._keys[1]}"

    def _refuse(self, url: str, form: Mapping[str, str], now: datetime) -> dict[str, object] | None:
        """Return cases C, E and F of reference wayback §1.4."""
        window = _seconds(form.get("if_not_archived_within", ""))
        newest = next(reversed([each for each in self.memory.of(url) if each.status == 200]), None)
        if window and newest and now - newest.captured_at < timedelta(seconds=window):
            minutes = int((now - newest.captured_at).total_seconds() // 60)
            message = (
                f"The same snapshot had been made {minutes // 60} hours, {minutes % 60} minutes"
                f" ago. You can make new capture of this URL after {window // 3600} hours."
            )
            return {"url": url, "job_id": None, "message": message}
        today = [at for saved, at in self._saved if saved == url and at.date() == now.date()]
        if len(today) >= 5:
            message = "This URL has been already captured 5 times today, try again tomorrow."
            code = "error:too-many-daily-captures"
            return {"status": "error", "status_ext": code, "message": message}
        running = [job for job in self._jobs.values() if job.ready_at > now]
        if len(running) >= self.slots:
            message = (
                "You have already reached the limit of active Save Page Now sessions."
                " Please wait for a minute and then try again."
            )
            return {"message": message}
        return None

    async def _job_status(self, request: web.Request, ids: str) -> web.StreamResponse:
        if not self._knows(request):
            return web.json_response({"message": "You need to be logged in."}, status=401)
        answers = [self._job(each) for each in ids.split(",") if each]
        if request.method == "POST" and "job_ids" in await request.post():
            return web.json_response([each for each in answers if each is not None])
        known = answers[0] if answers else None
        return web.Response(status=404) if known is None else web.json_response(known)

    def _job(self, job_id: str) -> dict[str, object] | None:
        job, now = self._jobs.get(job_id), self._clock.now()
        if job is None or now > job.ready_at + timedelta(hours=1):
            return None
        if now < job.ready_at:
            return {"status": "pending", "job_id": job_id, "resources": []}
        return job.answer

    async def _user_status(self, request: web.Request, _: str) -> web.StreamResponse:
        if not self._knows(request):
            return web.json_response({"message": "You need to be logged in."}, status=401)
        now = self._clock.now()
        running = sum(job.ready_at > now for job in self._jobs.values())
        used = sum(at.date() == now.date() for _url, at in self._saved)
        return web.json_response(
            {
                "processing": running,
                "available": max(0, self.slots - running),
                "daily_captures": used,
                "daily_captures_limit": self.daily_limit,
            }
        )

    async def _system_status(self, _: web.Request, __: str) -> web.StreamResponse:
        return web.json_response({"status": "ok", "recent_captures": 941, "queues": {}})

    # ------------------------------------------------------ index, playback

    async def _index(self, request: web.Request, url: str) -> web.StreamResponse:
        if not url:
            return web.Response(status=400, text="Missing 'url' parameter")
        if self.memory.is_excluded(url):
            headers = {"X-Archive-Wayback-Runtime-Error": EXCLUSION}
            return web.Response(status=403, text=EXCLUSION, headers=headers)
        parameters = parse_qs(request.raw_path.partition("?")[2], keep_blank_values=True)
        rows = self.memory.query(parameters, self._clock.now())
        names = parameters.get("fl", [",".join(FIELDS)])[0].split(",")
        table = [[row.get(name, "-") for name in names] for row in rows]
        if parameters.get("output") == ["json"]:
            return web.json_response([names, *table] if table else [])
        return web.Response(text="".join(" ".join(row) + "\n" for row in table))

    async def _availability(self, request: web.Request, url: str) -> web.StreamResponse:
        stamp = request.query.get("timestamp", "")
        wanted = stamp or self._clock.now().strftime("%Y%m%d%H%M%S")
        nearest = None if self.memory.is_excluded(url) else self.memory.nearest(url, wanted)
        closest = nearest and {
            "available": True,
            "status": str(nearest.status),
            "timestamp": nearest.timestamp,
            "url": f"{self.playback_url}/{nearest.timestamp}/{nearest.original}",
        }
        snapshots = {"closest": closest} if closest else {}
        return web.json_response({"url": url, "archived_snapshots": snapshots})

    async def _playback(self, request: web.Request, _: str) -> web.StreamResponse:
        stamp, flag, url = _playback_parts(request.raw_path)
        if self.memory.is_excluded(url):
            headers = {"X-Archive-Wayback-Runtime-Error": EXCLUSION}
            text = "<html>This URL has been excluded from the Wayback Machine.</html>"
            return web.Response(status=403, text=text, content_type="text/html", headers=headers)
        nearest = self.memory.nearest(url, stamp or self._clock.now().strftime("%Y%m%d%H%M%S"))
        if nearest is None:
            return web.Response(status=404, text=NOT_ARCHIVED, content_type="text/html")
        if nearest.timestamp != stamp:
            location = f"{self.playback_url}/{nearest.timestamp}{flag}/{nearest.original}"
            reason = f"found capture at {nearest.timestamp}"
            headers = {"Location": location, "X-Archive-Redirect-Reason": reason}
            return web.Response(status=302, headers=headers)
        return self._memento(nearest, flag)

    def _memento(self, capture: StoredCapture, flag: str) -> web.StreamResponse:
        headers: CIMultiDict[str] = CIMultiDict()
        headers["Memento-Datetime"] = format_datetime(capture.captured_at, usegmt=True)
        headers["Link"] = (
            f'<{capture.original}>; rel="original", '
            f"<{self.playback_url}/timemap/link/{capture.original}>; "
            'rel="timemap"; type="application/link-format", '
            f'<{self.playback_url}/{capture.timestamp}/{capture.original}>; rel="memento"; '
            f'datetime="{headers["Memento-Datetime"]}"'
        )
        headers["X-Archive-Src"] = "stand-in.warc.gz"
        for name, value in capture.headers.items():
            headers[f"X-Archive-Orig-{name}"] = value
        headers["Content-Type"] = capture.headers.get("content-type", "text/html")
        location = capture.headers.get("location")
        if location is not None and not flag:
            text = f"<p>Got an HTTP {capture.status} response at crawl time</p>"
            return web.Response(text=text, content_type="text/html", headers={})
        if location is not None:
            target = urljoin(capture.original, location)
            headers["Location"] = f"/web/{capture.timestamp}{flag}/{target}"
        if encoding := capture.headers.get("content-encoding"):
            # Recorded from the real one: an empty header first (reference wayback §4.3).
            headers.add("Content-Encoding", "")
            headers.add("Content-Encoding", encoding)
        return web.Response(status=capture.status, body=capture.body, headers=headers)


def _service(method: str, target: str, form: Mapping[str, str]) -> tuple[str, str]:
    """Return which service a raw request target belongs to, and the URL (or ids) it is about."""
    path, _, query = target.partition("?")
    if path.rstrip("/") == "/save" and method == "POST":
        return "spn2", form.get("url", "")
    if path.startswith("/save/status"):
        word = path.removeprefix("/save/status").strip("/")
        if word in ("user", "system"):
            return word, ""
        return "status", word or form.get("job_ids") or form.get("job_id", "")
    if path.startswith("/save/"):
        return "save", target.removeprefix("/save/")
    for service, prefix in (("cdx", "/cdx/search/cdx"), ("availability", "/wayback/available")):
        if path.startswith(prefix):
            return service, next(iter(parse_qs(query).get("url", [])), "")
    if path.startswith("/web/"):
        return "playback", _playback_parts(target)[2]
    return "unknown", target


def _playback_parts(target: str) -> tuple[str, str, str]:
    """Return (digits, flag, original URL) of `/web/<digits>[flag]/<url>` as it was sent."""
    match = re.match(r"^/web/(?:(\d{1,14})([a-z]{2}_)?/)?(.*)$", target, re.S)
    if match is None:
        return "", "", ""
    url = match[3] if re.match(r"https?:/", match[3]) else unquote(match[3])
    return match[1] or "", match[2] or "", re.sub(r"^(https?):/+", r"\1://", url)


def _job_answer(
    job_id: str, url: str, capture: StoredCapture | None, error: str
) -> dict[str, object]:
    if capture is None:
        return {
            "status": "error",
            "job_id": job_id,
            "status_ext": f"error:{error}",
            "message": f"Couldn't capture {url}: {error}.",
            "resources": [],
        }
    return {
        "status": "success",
        "job_id": job_id,
        # The page at the end of the redirects (reference wayback §1.6).
        "original_url": capture.original,
        "timestamp": capture.timestamp,
        "duration_sec": 16.04,
        "http_status": capture.status,
        "resources": [url],
        "outlinks": [],
    }


def _seconds(text: str) -> int:
    """Read `3d 5h 20m`, `15h` or seconds (reference wayback §1.3)."""
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1, "": 1}
    return sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+)\s*([dhms]?)", text))


async def _play(scripted: Scripted, request: web.Request) -> web.StreamResponse:
    if scripted.hang:
        await asyncio.sleep(scripted.hang)
    if scripted.reset and request.transport is not None:
        request.transport.abort()
    body = scripted.body.encode() if isinstance(scripted.body, str) else scripted.body
    headers = {"Content-Type": scripted.content_type, **scripted.headers}
    return web.Response(status=scripted.status, body=body, headers=headers)
