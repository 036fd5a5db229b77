"""What the name service says of names that surely exist, and of one that cannot.

Some resolvers forge: for a name that does not exist they give the address of a search page or a
login of their own. Then "this name is gone" cannot be trusted, and whatever answers at such an
address is not the cited site (reference checking §6 step 5).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence, Set
from dataclasses import replace

from aiohttp.abc import AbstractResolver

from archiver.checking.address import PRIVATE_ADDRESS
from archiver.model import Observation
from archiver.records import record

# Names that have existed for decades; any definite answer about one of them will do.
OLD_NAMES = ("example.com", "iana.org", "wikipedia.org")


@record
class Forgery:
    """What a resolver invents for names that do not exist.

    `addresses`: where it leads those names; none when it is honest. `everywhere`: no name that
    surely exists is known to lead elsewhere, so it is more than one search page for lost names.
    `alone`: nor has any look led elsewhere, so nothing tells a forger from a network that serves
    every name in one place (a gateway, a rehearsal).
    """

    addresses: frozenset[str] = frozenset()
    everywhere: bool = False
    alone: bool = False

    def beside(self, addresses: Set[str]) -> Forgery:
        """Return this as it stands beside all addresses that looks have led to so far."""
        return replace(self, alone=self.everywhere and addresses <= self.addresses)

    def misled(self, seen: Observation) -> bool:
        """Say whether a name on the way of this look led to invented addresses and no other.

        Any hop will do: the forger may send its visitors on to a site of its own. Of a place that
        stands alone only what may not be asked is doubted; what it answers is the vote's to judge.
        """
        if self.alone and seen.error != PRIVATE_ADDRESS:
            return False
        return any(found and found <= self.addresses for found in seen.addresses)

    def spoils(self, seen: Observation) -> bool:
        """Say whether this look rests on a name that the resolver may have lied about."""
        return self.misled(seen) or (bool(self.addresses) and seen.error == "dns-gone")


HONEST = Forgery()


def may_be_spoilt(seen: Observation) -> bool:
    """Say whether a forging resolver could have spoilt this look: some name was asked for."""
    return bool(seen.addresses) or seen.error == "dns-gone"


async def ask_forgery(
    resolver: AbstractResolver, name: str, old_names: Sequence[str] = OLD_NAMES
) -> Forgery:
    """Find out what the resolver invents for a name that cannot exist.

    `name` is 24 random letters under example.com, chosen by the caller. Of an honest resolver
    nothing else is asked.
    """
    invented = await addresses_of(resolver, name)
    if not invented:
        return HONEST
    for old_name in old_names:
        if await addresses_of(resolver, old_name) - invented:
            return Forgery(invented)
    return Forgery(invented, everywhere=True)


async def addresses_of(resolver: AbstractResolver, name: str) -> frozenset[str]:
    """Return the addresses the resolver gives for a name, none when it knows none or fails."""
    try:
        found = await resolver.resolve(name, 80, socket.AF_UNSPEC)
    except OSError:
        return frozenset()
    return frozenset(one["host"] for one in found)


async def resolver_answers(resolver: AbstractResolver, names: Sequence[str] = OLD_NAMES) -> bool:
    """Say whether the resolver gives a definite answer, good or bad, for any name.

    "There is no such name" is one; `EAI_AGAIN` and silence are not.
    """
    for name in names:
        try:
            await resolver.resolve(name, 80, socket.AF_UNSPEC)
        except socket.gaierror as error:
            if error.errno != socket.EAI_AGAIN:
                return True
        except OSError:
            continue
        else:
            return True
    return False
