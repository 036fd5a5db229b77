"""The settings themselves: one frozen model per section, each option with default and help.

The default stands as a person would write it (`"5s"`), so that one table serves validation,
the annotated example, `config show` and the JSON schema. Names and defaults are contract §3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from archiver import __version__
from archiver.config import quantities
from archiver.urls import Address, read_address


def _pattern(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


def _listed(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _unless_empty(read: Any) -> AfterValidator:
    return AfterValidator(lambda text: read(text) if text else text)


def _printable(text: str) -> str:
    if not text.isprintable() or not text.isascii():
        raise ValueError("expected plain ASCII text on one line")
    return text


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("expected some text, not nothing")
    return text


def _no_controls(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("expected a path without control characters")
    return text


Duration = Annotated[
    timedelta,
    PlainValidator(quantities.read_duration),
    _pattern(quantities.DURATION_PATTERN),
]
PositiveDuration = Annotated[
    timedelta,
    PlainValidator(quantities.read_positive_duration),
    _pattern(quantities.DURATION_PATTERN),
]
DurationOrNever = Annotated[
    timedelta | None,
    PlainValidator(quantities.read_duration_or_never),
    _pattern(quantities.DURATION_PATTERN.replace("^", "^(never|").replace("$", ")$")),
]
Size = Annotated[
    int,
    PlainValidator(quantities.read_size),
    _pattern(quantities.SIZE_PATTERN),
]
Schedule = Annotated[
    timedelta | time,
    PlainValidator(quantities.read_schedule),
    _pattern(quantities.SCHEDULE_PATTERN),
]
AsList = BeforeValidator(_listed)
OptionalPath = Annotated[str, AfterValidator(_no_controls)]
PathText = Annotated[OptionalPath, AfterValidator(_not_empty)]
Texts = Annotated[tuple[Annotated[str, AfterValidator(_not_empty)], ...], AsList]
Durations = Annotated[tuple[PositiveDuration, ...], AsList, Field(min_length=1)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(quantities.read_network)], ...], AsList]
WebAddress = Annotated[str, AfterValidator(quantities.read_web_address)]
Endpoint = Annotated[str, AfterValidator(quantities.read_endpoint)]
HeaderText = Annotated[str, AfterValidator(_printable)]
ArchiveMode = Literal["auto", "spn2", "anonymous", "lookup", "off"]
ReportFormat = Literal[
    "html", "md", "csv", "json", "junit", "sarif", "github", "atom", "badge", "prometheus"
]
Occasion = Literal["dead", "recovered", "archive-failed"]


def option(default: object, explanation: str, **limits: Any) -> Any:
    """Describe one option: its default as written in a file, and what it is for."""
    return Field(default, description=explanation, validate_default=True, **limits)


class Section(BaseModel):
    """What all sections have in common: frozen, strict, and no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class EventsSettings(Section):
    """Where the event files are, and where in them the sources."""

    paths: Annotated[tuple[PathText, ...], AsList, Field(min_length=1)] = option(
        ["events"], "Folders with event files; only ever read, never written."
    )
    include: Annotated[Texts, Field(min_length=1)] = option(
        ["**/*.md", "**/*.yaml", "**/*.yml", "**/*.json"], "Which files in them are events."
    )
    source_keys: Annotated[Texts, Field(min_length=1)] = option(
        ["sources", "citations"], "The keys of an event that hold its sources."
    )
    body_links: bool = option(False, "Also read the links in the text below the front matter.")


class DatabaseSettings(Section):
    """The SQLite file that holds everything the daemon knows."""

    path: PathText = option("archiver.db", "The SQLite file; created when absent.")
    backup_directory: OptionalPath = option("", "Where the daily copy goes; empty for no copies.")
    backup_keep: int = option(7, "How many daily copies are kept.", ge=1)
    keep_looks: PositiveDuration = option(
        "400d", "How long every single look is kept; older uneventful ones are thinned out."
    )


class ScheduleSettings(Section):
    """How often each duty asks whether something is due: a duration, or daily HH:MM (UTC)."""

    scan: Schedule = option("15m", "Read the event files that changed.")
    check: Schedule = option("10m", "Look at the links that are due.")
    archive: Schedule = option("2m", "Ask archives for captures, and submit what has none.")
    verify: Schedule = option("30m", "Play captures back.")
    report: Schedule = option("1d", "Write the report.")
    maintenance: Schedule = option("daily 03:30", "Back up and tidy the database.")


class CheckSettings(Section):
    """How links are looked at, and what it takes to believe that one is dead."""

    user_agent: HeaderText = option(
        "", "The User-Agent header; empty: built from version and contact."
    )
    contact: HeaderText = option(
        "", "A page or e-mail address where the owner of a site can reach you; please set it."
    )
    concurrency: int = option(32, "Looks at the same time, over all hosts.", ge=1, le=1000)
    per_host: int = option(1, "Looks at the same time at one host.", ge=1, le=10)
    host_delay: Duration = option(
        "5s", "From the end of one answer of a host to the next request to it."
    )
    timeout: PositiveDuration = option("30s", "For one whole look, without the waiting in line.")
    connect_timeout: PositiveDuration = option("10s", "For reaching the server.")
    max_body: Size = option("512 KiB", "How much of a page is read, after decompression.")
    max_redirects: int = option(10, "How many redirects are followed.", ge=0, le=50)
    interval_ok: PositiveDuration = option("7d", "When a link that was fine is looked at again.")
    interval_ok_max: PositiveDuration = option(
        "30d", "Up to which that doubles while it stays fine."
    )
    intervals_failing: Durations = option(
        ["6h", "1d", "2d", "3d"], "After the first, second, … bad look; the last one repeats."
    )
    interval_blocked: PositiveDuration = option("14d", "After repeated refusals.")
    interval_dead: PositiveDuration = option("30d", "For dead links: some come back.")
    strong_looks: int = option(
        3, "Looks in a row with strong evidence (404, 410, name gone, …) until dead.", ge=1
    )
    strong_days: int = option(3, "And at least so many times 24 h from first to last.", ge=0)
    weak_looks: int = option(
        5, "Looks in a row with weak evidence (refused, timeout, …) until dead.", ge=1
    )
    weak_days: int = option(30, "And at least so many times 24 h from first to last.", ge=0)
    title_match: int = option(
        70, "How alike (0 to 100) a page's title must be to carry the cited one.", ge=0, le=100
    )
    canaries: Annotated[tuple[WebAddress, ...], AsList] = option(
        [], "Reliable pages asked first to learn whether we are online ourselves."
    )

    @property
    def sent_user_agent(self) -> str:
        """Return the User-Agent as it goes out: the configured one, else version and contact."""
        if self.user_agent:
            return self.user_agent
        contact = f"+{self.contact}" if self.contact else "no contact was given"
        return f"source-link-archiver/{__version__} (checks cited sources; {contact})"


class NetworkSettings(Section):
    """The way out, and the addresses that are normally refused."""

    allow_private: Networks = option(
        [], "Address blocks (CIDR) that may be reached although they are not public."
    )
    proxy: Annotated[str, _unless_empty(quantities.read_proxy)] = option(
        "", "An HTTP proxy such as http://proxy.example:3128; empty for none."
    )
    ca_file: OptionalPath = option(
        "", "A PEM file that replaces the system's certificate authorities; empty for the system's."
    )


# Headers that would send a secret, or break the framing of the request.
_REFUSED_HEADERS = frozenset(
    {
        *("authorization", "cookie", "proxy-authorization", "host", "connection"),
        *("content-length", "transfer-encoding", "upgrade"),
    }
)


class HostSettings(Section):
    """Exceptions for one host and its subdomains."""

    delay: Duration | None = Field(None, description="Instead of check.host_delay.")
    concurrency: int | None = Field(None, description="Instead of check.per_host.", ge=1, le=100)
    headers: Mapping[str, HeaderText] = option({}, "Sent with every request to this host.")
    skip: bool = option(False, "Never look at links of this host: its owner asked for it.")

    @field_validator("headers", mode="before")
    @classmethod
    def _refuse_secrets(cls, headers: object) -> object:
        for name in headers if isinstance(headers, Mapping) else ():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", str(name)):
                raise ValueError(f"{name!r} is no header name")
            if str(name).lower() in _REFUSED_HEADERS:
                raise ValueError(f"the header {name} may not be set here")
        return headers


class LocalArchiveSettings(Section):
    """Copies of our own, for pages no archive has."""

    enabled: bool = option(False, "Keep WARC copies of pages without a verified capture.")
    directory: PathText = option("captures", "Where the copies go.")
    max_body: Size = option("20 MiB", "How much of one page is kept.")
    max_total: Size = option("5 GiB", "How much is kept altogether; then it stops and says so.")


class ArchiveSettings(Section):
    """How captures are looked up, made and verified.

    Keys of an archive.org account never stand in this file.
    """

    mode: ArchiveMode = option(
        "auto",
        "auto (spn2 with account keys, else anonymous), spn2, anonymous,"
        " lookup (never submit) or off (never ask).",
    )
    save_url: Endpoint = option("https://web.archive.org/save", "Where captures are asked for.")
    cdx_url: Endpoint = option("https://web.archive.org/cdx/search/cdx", "The index of captures.")
    playback_url: Endpoint = option("https://web.archive.org/web", "Where captures are read.")
    availability_url: Endpoint = option(
        "https://archive.org/wayback/available", "The availability service."
    )
    aggregator_url: Annotated[str, _unless_empty(quantities.read_endpoint)] = option(
        "", "A Memento aggregator for dead links the Wayback Machine lacks; empty for none."
    )
    access_key_file: OptionalPath = option(
        "", "A file with the archive.org access key, if you have one."
    )
    secret_key_file: OptionalPath = option("", "A file with the archive.org secret key.")
    submits_per_minute: int = option(5, "Submissions a minute with account keys.", ge=1, le=60)
    slots: int = option(2, "Submissions in work at the same time.", ge=1, le=20)
    daily: int = option(500, "Submissions a day with account keys.", ge=0)
    anonymous_per_minute: int = option(1, "Submissions a minute without keys.", ge=1, le=15)
    anonymous_daily: int = option(50, "Submissions a day without keys.", ge=0)
    reads_per_minute: int = option(20, "Look-ups and playbacks a minute, together.", ge=1, le=600)
    submit_timeout: PositiveDuration = option("120s", "For one submission.")
    verify_after: PositiveDuration = option(
        "26h", "When a new capture is played back; not below 24h."
    )
    reverify_every: PositiveDuration = option("90d", "When it is played back again.")
    refresh_after: DurationOrNever = option(
        "365d", 'When a living page is captured anew; "never" for not at all.'
    )
    local: LocalArchiveSettings = LocalArchiveSettings()

    @field_validator("verify_after")
    @classmethod
    def _not_below_a_day(cls, value: timedelta) -> timedelta:
        if value < timedelta(hours=24):
            raise ValueError("not below 24h: fresh captures can still vanish")
        return value


class ReportSettings(Section):
    """What is written after each pass."""

    directory: PathText = option("report", "Where report.html and the other formats go.")
    formats: Annotated[tuple[ReportFormat, ...], AsList] = option(
        ["html", "json"],
        "Any of html md csv json junit sarif github atom badge prometheus: one file each.",
    )


class WebSettings(Section):
    """The page and the interface for scripts."""

    enabled: bool = option(False, "Serve them.")
    bind: Annotated[str, AfterValidator(quantities.read_bind)] = option(
        "127.0.0.1:8088", "Where; any but a loopback address needs a token."
    )
    token_file: OptionalPath = option("", "A file with the token every request must carry.")
    allowed_hosts: Texts = option([], "Further Host names by which the page may be asked for.")

    @model_validator(mode="after")
    def _no_open_door(self) -> WebSettings:
        host = self.bind.rpartition(":")[0].strip("[]")
        if self.enabled and not self.token_file and not quantities.is_loopback(host):
            raise ValueError(f"bind = {self.bind!r} is open to others: set token_file")
        return self


class NotifySettings(Section):
    """Whom to tell what changed; acts in `archiver run` only."""

    webhook: Annotated[str, _unless_empty(quantities.read_web_address)] = option(
        "", "An address that gets each digest as JSON; empty for none."
    )
    secret_file: OptionalPath = option("", "A file with the key that signs the digest (HMAC).")
    command: Texts = option([], "A program and its arguments that gets the digest on its input.")
    heartbeat: Annotated[str, _unless_empty(quantities.read_web_address)] = option(
        "", "An address asked after each run, for a dead man's switch; empty for none."
    )
    on: Annotated[tuple[Occasion, ...], AsList] = option(
        ["dead", "recovered", "archive-failed"], "What is worth a message."
    )


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = option(
        "info", "debug, info, warning or error."
    )
    format: Literal["auto", "text", "json"] = option(
        "auto", "text, json, or auto: text, with priorities under systemd."
    )


def host_name(text: str) -> str:
    """Return a host as links have it; raise ValueError for what is none."""
    shape = f"http://[{text}]/" if text.count(":") > 1 else f"http://{text}/"
    address = read_address(shape)
    if (
        not isinstance(address, Address)
        or address.canonical.count("/") != 3
        or text.count(":") == 1
    ):
        raise ValueError(f'{text!r} is no host name; expected [hosts."example.org"]')
    return address.host


HostName = Annotated[str, AfterValidator(host_name)]


class Settings(BaseSettings):
    """All settings; `Settings()` is the defaults and reads nothing from its surroundings."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", strict=True)

    events: EventsSettings = EventsSettings()
    database: DatabaseSettings = DatabaseSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    check: CheckSettings = CheckSettings()
    network: NetworkSettings = NetworkSettings()
    hosts: Mapping[HostName, HostSettings] = option({}, "Exceptions per host.")
    archive: ArchiveSettings = ArchiveSettings()
    report: ReportSettings = ReportSettings()
    web: WebSettings = WebSettings()
    notify: NotifySettings = NotifySettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read no variables and no files: `archiver.config.loading` hands the layers in."""
        return (init_settings,)

    def for_host(self, host: str) -> HostSettings | None:
        """Return the exceptions for a host: its own, else of the longest domain above it."""
        labels = host.split(".")
        for start in range(len(labels)):
            found = self.hosts.get(".".join(labels[start:]))
            if found is not None:
                return found
        return None
