"""What a sibling tells is remembered for a month, if it tells anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.demo.behaviours import Address, Fault, Outcome, Visit, html, redirect
from archiver.demo.sites import Site, home
from tests.service.small_web import small_web


@pytest.mark.parametrize("trouble", [Fault.RESET, html("busy", 503), html("slow down", 429)])
async def test_a_sibling_in_a_bad_hour_is_asked_again_at_the_next_look(
    tmp_path: Path, trouble: Outcome
) -> None:
    bad_hour = True

    def behave(cited: Address, visit: Visit) -> Outcome:
        if visit.path == "/robots.txt":
            return html("none", 404)
        if visit.target == cited.target:
            return redirect(302, "/")
        if visit.path == "/":
            return home(cited, visit)
        return trouble if bad_hour else html("none", 404)

    site = Site("moved.example", "Harbour report of the year", behave, "", "", "")
    async with small_web(tmp_path, [site]) as service:
        await service.look()
        assert service.word(site).split("/")[1] == "redirected-home"
        bad_hour = False
        service.at(30)
        await service.look()
        assert service.word(site) == "ok/redirected"
