"""Every row of the small web, looked at again and again, is believed to be what the table says."""

from __future__ import annotations

from pathlib import Path

from archiver.demo.hosts import SITES
from archiver.demo.hosts_more import MORE_SITES
from archiver.demo.sites import agrees
from archiver.service.maintenance import prune
from archiver.service.rebuild import differences
from tests.service.small_web import small_web

# Hours after the start: close while strong evidence gathers, then wide, so that weak evidence
# gets its five looks over thirty days.
HOURS = (0, 8, 36, 90, 136, 228, 480, 648, 792, 1000, 1130)
# What only an archive's answer can make of a row is seen in the rehearsal with an archive.
NEEDS_AN_ARCHIVE = "blocked/alive-elsewhere"


async def test_after_the_confirming_looks_every_row_is_believed_to_be_what_the_table_says(
    tmp_path: Path,
) -> None:
    sites = [site for site in SITES + MORE_SITES if site.belief != NEEDS_AN_ARCHIVE]
    async with small_web(tmp_path, sites) as service:
        for hours in HOURS:
            service.at(hours)
            await service.look()
        wrong = {
            site.host: (site.belief, service.word(site))
            for site in sites
            if not agrees(site.belief, *service.word(site).split("/"))
        }
        assert wrong == {}
        # Law 1: every belief is the fold of the stored findings.
        assert list(differences(service.desk, rejudge=False)) == []
        # Today's rules are those of these looks: judging the stored facts changes nothing.
        assert list(differences(service.desk, rejudge=True)) == []
        assert service.web.violations(5.0, tolerance=1.5) == []
        # Pruning thins what moved nothing: the fold stays what it was.
        service.at(HOURS[-1] + 24 * 400)
        assert prune(service.desk).looks > 0
        assert list(differences(service.desk, rejudge=False)) == []
