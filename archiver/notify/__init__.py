"""Telling people what changed: a webhook, a command, a heartbeat.

digest = build("changes", digest_id, now, notices, counts)     pure: who is told what
outcome = await channel.send(digest.parcel)                    once; never raises for the network
await heartbeat.beat(Beat.SUCCESS, "120 looks: 118 ok")        forgotten when it fails

What is to be told, to whom it was told, and when to try again is the store's and `service`'s.
"""

from __future__ import annotations

from archiver.notify.channels import Channel, Outcome, Parcel
from archiver.notify.command import Command
from archiver.notify.digest import MOST_ITEMS, Digest, Kind, Notice, build
from archiver.notify.heartbeat import Beat, Heartbeat
from archiver.notify.poster import Poster
from archiver.notify.webhook import SIGNATURE_HEADER, Webhook, signature

__all__ = [
    "MOST_ITEMS",
    "SIGNATURE_HEADER",
    "Beat",
    "Channel",
    "Command",
    "Digest",
    "Heartbeat",
    "Kind",
    "Notice",
    "Outcome",
    "Parcel",
    "Poster",
    "Webhook",
    "build",
    "signature",
]
