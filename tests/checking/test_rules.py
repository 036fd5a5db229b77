"""The judge on every server behaviour of reference checking §5.1 and every kind of §2."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver import reasons
from archiver.checking import refusals, rules
from archiver.checking.context import (
    Context,
    GoodLook,
    SiblingFacts,
    finding_from_facts,
    finding_to_facts,
    observation_from_facts,
    observation_to_facts,
)
from archiver.checking.fingerprints import fingerprint
from archiver.checking.page import read_page
from archiver.checking.policy import Policy
from archiver.checking.rules import answered_by_host, judge, wants_probe
from archiver.model import Finding, Hop, Observation, PageFacts, Strength, Verdict

NOW = datetime(2026, 5, 1, tzinfo=UTC)
URL = "https://news.example/2019/03/court-bans-welfare-fraud-system"
TITLE = "Court bans welfare fraud system"
POLICY = Policy()
PLAIN = Context(cited_titles=(TITLE,), publishers=("Example News",))

OK, MOVED, BLOCKED, FAILING = Verdict.OK, Verdict.MOVED, Verdict.BLOCKED, Verdict.FAILING
STRONG, WEAK, NONE = Strength.STRONG, Strength.WEAK, Strength.NONE

PROSE = " ".join(f"word{i} and thing{i * 7 % 31} went" for i in range(400))
ARTICLE = f"<html lang=en><title>{TITLE} | Example News</title><body><h1>{TITLE}</h1><p>{PROSE}</p>"


def page(html: str, content_type: str = "text/html") -> PageFacts:
    return read_page(html.encode(), content_type, truncated=False)


def look(
    html: str | None = ARTICLE,
    status: int | None = 200,
    *,
    url: str = URL,
    final: str | None = None,
    hops: tuple[Hop, ...] | None = None,
    error: str | None = None,
    headers: dict[str, str] | None = None,
    retry_after: int | None = None,
) -> Observation:
    if hops is None:
        hops = (Hop(302, url),) if final and final != url else ()
    return Observation(
        url=url,
        looked_at=NOW,
        status=status,
        error=error,
        final_url=final or url,
        redirects=hops,
        headers=headers or {},
        page=page(html) if html is not None and status is not None else None,
        retry_after=retry_after,
    )


def found(observation: Observation, context: Context = PLAIN) -> Finding:
    return judge(observation, context, POLICY)


# --- §5.1: below HTTP ---------------------------------------------------------------------------

WIRE = [
    ("dns-gone", FAILING, STRONG),
    ("dns-no-address", FAILING, WEAK),
    ("dns-error", FAILING, NONE),
    ("dns-timeout", FAILING, NONE),
    ("private-address", BLOCKED, NONE),
    ("refused", FAILING, WEAK),
    ("unreachable", FAILING, WEAK),
    ("connect-timeout", FAILING, WEAK),
    ("empty-answer", FAILING, WEAK),
    ("reset", FAILING, WEAK),
    ("read-timeout", FAILING, NONE),
    ("tls-expired", FAILING, NONE),
    ("tls-not-yet", FAILING, NONE),
    ("tls-self-signed", FAILING, NONE),
    ("tls-chain", FAILING, NONE),
    ("tls-name", FAILING, NONE),
    ("tls-handshake", FAILING, NONE),
    ("tls-old", FAILING, NONE),
    ("client-cert", BLOCKED, NONE),
    ("unreadable-http", FAILING, NONE),
    ("bad-redirect", FAILING, NONE),
    ("redirect-loop", FAILING, NONE),
]


@pytest.mark.parametrize(("error", "verdict", "strength"), WIRE)
def test_a_look_that_ends_below_http(error, verdict, strength):
    finding = found(look(None, None, error=error))
    assert (finding.verdict, finding.reason, finding.strength) == (verdict, error, strength)
    assert not finding.answered


def test_redirect_faults_keep_their_reason_whatever_the_last_status_was():
    for error in ("redirect-loop", "bad-redirect"):
        assert found(look(None, 302, error=error)).reason == error
    assert found(look(None, 301, error="private-address")).verdict is BLOCKED


def test_a_fault_of_this_machine_is_like_being_offline():
    finding = found(look(None, None, error="local-trouble"))
    assert (finding.verdict, finding.reason) == (None, "offline")


def test_a_forged_missing_name_proves_nothing():
    context = replace(PLAIN, forged_names=True)
    assert found(look(None, None, error="dns-gone"), context).verdict is None


@pytest.mark.parametrize("error", ["tls-expired", "tls-name", "tls-chain", "tls-self-signed"])
def test_behind_a_certificate_fault_the_page_decides(error):
    good = found(look(error=error))
    assert (good.verdict, good.reason) == (OK, error)
    gone = found(look("<title>x</title>", 404, error=error))
    assert (gone.reason, gone.strength) == ("http-404", STRONG)


# --- §5.1: statuses -----------------------------------------------------------------------------

SHORT = "<title>Problem</title><p>There was a problem.</p>"
REFUSED = (
    *(401, 402, 403, 407, 429, 451, 999, 405, 406, 411, 412, 415, 416, 417, 418, 421, 423),
    *(426, 428, 430, 440, 444, 449, 450, 456, 498),
)
STATUSES = [
    *((status, BLOCKED, f"http-{status}", NONE) for status in REFUSED),
    (404, FAILING, "http-404", STRONG),
    (410, FAILING, "http-410", STRONG),
    *((s, FAILING, f"http-{s}", NONE) for s in (400, 408, 425, 499, 460)),
    *((s, FAILING, f"http-{s}", NONE) for s in (409, 413, 414, 422, 424, 431, 463, 494, 497)),
    *((s, FAILING, "http-5xx", NONE) for s in (500, 501, 502, 504, 505, 508, 510, 598, 599)),
    (503, FAILING, "http-503", NONE),
    *((s, FAILING, "http-52x", WEAK) for s in (521, 522, 523)),
    *((s, FAILING, "http-52x", NONE) for s in (520, 524, 525, 526)),
    (530, FAILING, "http-530", WEAK),
    *((s, FAILING, "odd-status", NONE) for s in (99, 101, 304, 305, 306, 600, 1000)),
    (300, OK, "multiple-choices", NONE),
    *((s, FAILING, "bad-redirect", NONE) for s in (301, 302, 303, 307, 308)),
]


@pytest.mark.parametrize(("status", "verdict", "reason", "strength"), STATUSES)
def test_a_status_means(status, verdict, reason, strength):
    finding = found(look(SHORT, status))
    assert (finding.verdict, finding.reason, finding.strength) == (verdict, reason, strength)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 207, 226])
def test_any_success_with_the_cited_page_is_ok(status):
    assert found(look(status=status)).reason == "ok"


def test_503_with_a_time_or_a_word_is_maintenance_and_never_counts():
    for observation in (
        look(SHORT, 503, retry_after=600),
        look("<title>Scheduled maintenance</title>", 503),
        look("<p>Briefly unavailable for scheduled maintenance. Check back.", 503),
    ):
        finding = found(observation)
        assert (finding.reason, finding.strength) == ("maintenance", NONE)


def test_retry_after_travels_with_the_finding_of_a_failure_only():
    assert found(look(SHORT, 429, retry_after=60)).retry_after == 60
    assert found(look(retry_after=60)).retry_after is None


def test_511_is_evidence_of_a_portal_not_of_the_page():
    assert found(look(SHORT, 511)).verdict is None


def test_an_unfollowed_redirect_with_a_page_is_judged_by_its_page():
    assert found(look(ARTICLE, 302, hops=())).verdict is OK


def test_a_cdn_before_a_silent_origin_is_no_answer_of_the_host():
    assert not found(look(SHORT, 522)).answered
    assert found(look(SHORT, 404)).answered
    assert [answered_by_host(status) for status in (None, 200, 404, 503, 521)] == [
        *(False, True, True, True, False)
    ]


def test_an_empty_page_fails_unless_it_always_was_empty():
    for status in (200, 204, 205):
        assert found(look("", status)).reason == "empty-page"
    always = replace(PLAIN, last_good=GoodLook())
    assert found(look("", 204), always).verdict is OK


def test_what_cannot_be_decoded_is_there():
    assert found(look(None, 200)).reason == "unreadable"


@pytest.mark.parametrize(
    "body", [b"%PDF-1.4 page not found", b"\x89PNG404", b"PK\x03\x04not found", b"GIF89a"]
)
def test_documents_are_exempt_from_all_rules_about_text(body):
    facts = read_page(body, "text/html", truncated=False)
    observation = replace(look(), page=facts)
    assert found(observation).reason == "ok"
    assert not wants_probe(observation, PLAIN, POLICY)


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("offline", "offline"),
        ("captive-portal", "offline"),
        ("partial-outage", "partial-outage"),
        ("provider-outage", "provider-outage"),
    ],
)
def test_a_labelled_batch_judges_nobody(label, reason):
    context = replace(PLAIN, label=label)
    for observation in (look(), look(SHORT, 404), look(None, None, error="dns-gone")):
        finding = found(observation, context)
        assert (finding.verdict, finding.reason) == (None, reason)


def test_a_page_that_only_sends_on_where_we_could_not_follow_is_ok():
    html = "<script>location.href='/new'</script>"
    assert found(look(html)).reason == "js-redirect"


# --- redirects ----------------------------------------------------------------------------------

NEW = "https://news.example/archive/court-bans-welfare-fraud-system"


def test_moved_needs_permanent_hops_and_the_same_document():
    permanent = look(final=NEW, hops=(Hop(301, URL),))
    assert found(permanent).verdict is MOVED
    assert found(look(final=NEW, hops=(Hop(308, URL),))).verdict is MOVED
    temporary = found(look(final=NEW, hops=(Hop(302, URL),)))
    assert (temporary.verdict, temporary.reason) == (OK, "redirected")
    mixed = look(final=NEW, hops=(Hop(301, URL), Hop(302, "https://news.example/x")))
    assert found(mixed).reason == "redirected"
    elsewhere = "<title>Something different entirely</title><h1>Other</h1><p>" + PROSE
    another = found(look(elsewhere, final="https://news.example/other/page", hops=(Hop(301, URL),)))
    assert (another.verdict, another.reason) == (OK, "redirected")


def test_a_cookie_detour_after_the_last_new_address_does_not_count():
    hops = (Hop(301, URL), Hop(302, NEW))
    assert found(look(final=NEW, hops=hops)).verdict is MOVED


def test_a_slug_is_a_witness_even_on_another_host():
    quiet = "<title>Example</title><p>" + PROSE
    moved = look(quiet, final="https://new.example/p/court-bans-welfare-fraud-system.html")
    assert found(replace(moved, redirects=(Hop(301, URL),))).verdict is MOVED


@pytest.mark.parametrize(
    ("cited", "final"),
    [
        ("http://news.example/a-b-c", "https://news.example/a-b-c"),
        ("https://news.example/a-b-c", "https://www.news.example/a-b-c"),
        ("https://news.example/a-b-c", "https://news.example/a-b-c/"),
        ("https://m.news.example/a-b-c", "https://news.example/a-b-c?utm_source=x"),
        ("https://news.example/A-b-C", "https://news.example/a-b-c"),
        ("https://news.example/a-b-c", "https://news.example/en-gb/a-b-c"),
        ("https://news.example/de/a-b-c", "https://news.example/en/a-b-c"),
    ],
)
def test_variants_of_one_address_stay_plainly_ok(cited, final):
    assert found(look(url=cited, final=final, hops=(Hop(301, cited),))).reason == "ok"


HOME_PAGE = "<title>Example News</title><h1>Today</h1><p>" + PROSE


def test_one_redirect_to_the_front_page_is_one_sign_and_the_equal_sibling_the_second():
    home = look(HOME_PAGE, final="https://news.example/")
    one = found(home)
    assert (one.verdict, one.reason, one.strength) == (FAILING, "redirected-home", NONE)
    assert wants_probe(home, PLAIN, POLICY)
    sibling = SiblingFacts(URL + "x", 200, "https://news.example/", "Example News")
    assert found(home, replace(PLAIN, sibling=sibling)).strength is STRONG
    missing = SiblingFacts(URL + "x", 404, URL + "x")
    assert found(home, replace(PLAIN, sibling=missing)).verdict is OK


def test_31_the_same_home_for_two_cited_paths_is_strong():
    home = look(HOME_PAGE, final="https://news.example/")
    assert found(home, replace(PLAIN, same_page_count=2)).strength is STRONG


def test_32_a_page_with_the_cited_title_is_no_home_redirect():
    assert found(look(final="https://news.example/")).verdict is OK


def test_a_cited_front_page_is_never_redirected_home_nor_probed():
    home = look(HOME_PAGE, url="https://news.example/", final="https://www.news.example/en/")
    assert found(home).verdict is OK
    assert not wants_probe(home, PLAIN, POLICY)


def test_a_redirect_to_another_sites_front_page_counts_like_one_to_the_own():
    finding = found(look(HOME_PAGE, final="https://other.example/"))
    assert (finding.reason, finding.strength) == ("redirected-home", NONE)


@pytest.mark.parametrize(
    "final",
    [
        "https://news.example/search?q=court-bans",
        "https://news.example/?s=court+bans+welfare+fraud+system",
        "https://news.example/suche/court-bans-welfare-fraud-system",
    ],
)
def test_a_search_echoes_the_title_and_is_not_protected_by_it(final):
    finding = found(look(f"<title>{TITLE} | Example</title><h1>{TITLE}</h1>", final=final))
    assert finding.reason == "redirected-search"


@pytest.mark.parametrize(
    "final",
    [
        "https://news.example/404",
        "https://news.example/404.html",
        "https://news.example/error/page-not-found?from=x",
        "https://news.example/Error404.aspx",
        "https://news.example/e.aspx?aspxerrorpath=/2019/03/x",
    ],
)
def test_a_path_that_says_not_found_is_a_sign(final):
    finding = found(look("<title>Example</title><p>" + PROSE, final=final))
    assert (finding.verdict, finding.reason) == (FAILING, "soft-404-path")


def test_a_section_above_the_document_is_a_sign():
    finding = found(look(HOME_PAGE, final="https://news.example/2019/"))
    assert (finding.reason, finding.strength) == ("redirected-section", NONE)


# --- §2: DeadlinkChecker's cases by kind ---------------------------------------------------------

ALIVE_KINDS = [
    "https://a.example/page",
    "https://a.example/page?query=1",
    "https://a.example/view;id=2",
    "https://a.example/a+b%2526c",
    "https://a.example/%E4%BE%8B/!@x",
    "https://xn--fa-hia.example/x",
]


@pytest.mark.parametrize("url", ALIVE_KINDS)
def test_kinds_of_living_links(url):
    assert found(look(url=url)).verdict is OK


def test_kinds_of_dead_links():
    missing_wiki_page = look("<div class='noarticletext'>There is no text</div>", 404)
    assert found(missing_wiki_page).strength is STRONG
    assert found(look(SHORT, 410)).strength is STRONG
    assert found(look(None, None, error="dns-gone")).strength is STRONG
    assert found(look(None, None, error="connect-timeout")).strength is WEAK
    moved_platform = look(HOME_PAGE, final="https://newplatform.example/")
    assert found(moved_platform).verdict is FAILING


# --- the law that judge is total, and that stored facts judge alike -------------------------------

WORDS = st.sampled_from(
    (
        *("", "Page not found", TITLE, "404", "Just a moment...", "Log in", "Search results for x"),
        *("Seite nicht gefunden", "页面不存在", "Domain for sale", "Error", "Welcome to nginx!"),
        *("Under maintenance", "Not available in your region", "- YouTube", "Account Suspended"),
    )
)
URLS = st.sampled_from(
    (
        *(
            URL,
            NEW,
            "https://news.example/",
            "https://news.example/404",
            "https://x.com/a/status/1",
        ),
        *("https://news.example/search?q=x", "https://hugedomains.com/domain_profile.cfm?d=x"),
        *("https://www.linkedin.com/authwall?x=1", "https://ww25.news.example/", "http://[::1]/"),
    )
)
PAGES = st.builds(
    PageFacts,
    title=WORDS,
    headings=st.lists(WORDS, max_size=2).map(tuple),
    subheadings=st.lists(WORDS, max_size=2).map(tuple),
    open_graph_title=WORDS,
    opening=st.lists(WORDS, max_size=4).map(" ".join) | st.just("The page you want was not found"),
    signs=st.lists(
        st.sampled_from(
            (
                *("parking", "challenge", "challenge-trace", "not-found-class", "noindex"),
                *("suspended", "default-page", "broken-application", "empty-wiki-page"),
                *("password-form", "unheard-of"),
            )
        ),
        max_size=3,
        unique=True,
    ).map(tuple),
    is_article=st.booleans(),
    text_length=st.sampled_from((0, 20, 300, 1499, 1500, 4000, 90000)),
    fingerprint=st.sampled_from(("", fingerprint(PROSE), "r00000000ffffffff")),
    truncated=st.booleans(),
    kind=st.sampled_from(("html", "text", "binary", "empty", "new-kind")),
)
OBSERVATIONS = st.builds(
    Observation,
    url=URLS,
    looked_at=st.just(NOW),
    status=st.none() | st.integers(0, 1100) | st.sampled_from((200, 301, 403, 404, 503)),
    error=st.none() | st.sampled_from([*(error for error, _, _ in WIRE), "tls-x", "new-word"]),
    final_url=st.none() | URLS,
    redirects=st.lists(st.builds(Hop, st.sampled_from((200, 301, 302)), URLS), max_size=3).map(
        tuple
    ),
    headers=st.dictionaries(
        st.sampled_from(("server", "cf-mitigated", "x-cache", "set-cookie", "x-dd-b")),
        st.sampled_from(("challenge", "AkamaiGHost", "Error from cloudfront", "", "anubis-auth")),
        max_size=3,
    ),
    page=st.none() | PAGES,
    retry_after=st.none() | st.integers(1, 10**9),
)
LOOKS = st.builds(GoodLook, WORDS, st.sampled_from(("", fingerprint(PROSE))), st.integers(0, 9000))
CONTEXTS = st.builds(
    Context,
    cited_titles=st.lists(WORDS, max_size=2).map(tuple),
    publishers=st.lists(st.just("Example News"), max_size=1).map(tuple),
    sibling=st.none()
    | st.builds(
        SiblingFacts,
        url=URLS,
        status=st.sampled_from((None, 200, 404, 403)),
        final_url=URLS,
        title=WORDS,
        opening=WORDS,
        text_length=st.integers(0, 2000),
    ),
    same_page_count=st.integers(0, 3),
    first_good=st.none() | LOOKS,
    last_good=st.none() | LOOKS,
    chosen=st.none() | LOOKS,
    label=st.none() | st.sampled_from(("offline", "partial-outage")),
    forged_names=st.booleans(),
)


@settings(max_examples=600, deadline=None)
@given(OBSERVATIONS, CONTEXTS)
def test_law_1_judge_is_total_and_stored_facts_judge_alike(observation, context):
    finding = judge(observation, context, POLICY)
    assert finding.verdict in (None, OK, MOVED, BLOCKED, FAILING)
    assert finding.strength is NONE or finding.verdict is FAILING
    assert isinstance(wants_probe(observation, context, POLICY), bool)
    assert finding.reason in reasons.REASONS or finding.reason.startswith(
        ("http-", "new-", "tls-x")
    )

    facts = json.loads(json.dumps(observation_to_facts(observation, context)))
    columns = {
        "looked_at": "2026-05-01T00:00:00Z",
        "status": observation.status,
        "error": observation.error,
        "final_url": observation.final_url,
        "redirects": [[hop.status, hop.url] for hop in observation.redirects],
        "title": observation.page.title if observation.page else None,
    }
    again = observation_from_facts(observation.url, columns, facts)
    same = Context.from_facts(json.loads(json.dumps(context.to_facts())))
    assert same == context
    assert judge(again, same, POLICY) == finding
    verdict = finding.verdict.value if finding.verdict else None
    assert finding_from_facts(verdict, finding.reason, finding_to_facts(finding)) == finding


def test_the_facts_of_an_ordinary_look_are_a_few_hundred_bytes():
    observation = look()
    size = len(json.dumps(observation_to_facts(observation, PLAIN)))
    assert size + len(json.dumps(PLAIN.to_facts())) < 500


# --- reasons ------------------------------------------------------------------------------------


def test_every_reason_a_rule_gives_has_words_and_advice():
    given_words = {error for error, _, _ in WIRE} | {reason for _, _, reason, _ in STATUSES}
    source = "".join(
        Path(module.__file__ or "").read_text(encoding="utf-8") for module in (rules, refusals)
    )
    given_words |= set(re.findall(r'case\.(?:bad|blocked)\("([a-z0-9-]+)"', source))
    given_words |= set(re.findall(r'Finding\([^)]*?, "([a-z0-9-]+)"', source))
    for reason in given_words:
        assert reasons.in_words(reason).endswith(".")
        assert reasons.advice(reason).endswith(".")
        assert reason in reasons.REASONS or re.fullmatch(r"http-\d+", reason)


def test_words_for_reasons_are_total():
    assert reasons.in_words("http-418") == "The server refuses our request (418 I'm a Teapot)."
    assert "never heard of" in reasons.in_words("never-heard-of")
    assert reasons.advice("never-heard-of")
