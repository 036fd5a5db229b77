"""Settings: what can be set, how it is found and validated, and where it came from.

loaded = load_settings(explicit=None, environ=os.environ, cwd=Path.cwd())
loaded.settings.check.host_delay      a timedelta
loaded.database_path                  an absolute path
loaded.origins["check.host_delay"]    "default", "file", "environment" or "command line"
"""

from __future__ import annotations

from archiver.config.account import Keys, account_keys, keys_refusal, may_send_keys
from archiver.config.catalogue import NOT_YET_EFFECTIVE, has_effect
from archiver.config.loading import Loaded, load_settings
from archiver.config.problems import SettingProblem, SettingProblems
from archiver.config.sections import (
    ArchiveSettings,
    CheckSettings,
    DatabaseSettings,
    EventsSettings,
    HostSettings,
    LocalArchiveSettings,
    LogSettings,
    NetworkSettings,
    NotifySettings,
    ReportSettings,
    ScheduleSettings,
    Settings,
    WebSettings,
)

__all__ = [
    "NOT_YET_EFFECTIVE",
    "ArchiveSettings",
    "CheckSettings",
    "DatabaseSettings",
    "EventsSettings",
    "HostSettings",
    "Keys",
    "Loaded",
    "LocalArchiveSettings",
    "LogSettings",
    "NetworkSettings",
    "NotifySettings",
    "ReportSettings",
    "ScheduleSettings",
    "SettingProblem",
    "SettingProblems",
    "Settings",
    "WebSettings",
    "account_keys",
    "has_effect",
    "keys_refusal",
    "load_settings",
    "may_send_keys",
]
