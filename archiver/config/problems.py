"""What can be wrong with a configuration, worded so that all of it is told at once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from archiver.errors import ConfigurationError
from archiver.records import record
from archiver.text import shown

_SECRET_NAME = re.compile(r"(?i)(secret|password|passwd|token|access_?key|credential)")


@record
class SettingProblem:
    """One thing that is wrong: which key, as found where, and why."""

    key: str
    value: object
    place: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.key}{_shown_value(self.key, self.value)} ({shown(self.place)}): {self.reason}"
        )


class SettingProblems(ConfigurationError):
    """The settings are wrong; `details` holds one line for each problem."""

    def __init__(self, problems: Sequence[SettingProblem]) -> None:
        """Carry all problems, in the order in which they stand in the file."""
        self.problems = tuple(problems)
        self.details = tuple(str(problem) for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        self.headline = f"The configuration has {count}."
        super().__init__(
            _in_one_line(self.headline, self.details),
            "Mend what is named; 'archiver config init' prints every option with its default.",
        )


class SeveralProblems(ConfigurationError):
    """More than one thing is wrong; `details` holds one line for each."""

    def __init__(self, problems: Sequence[ConfigurationError]) -> None:
        """Carry them in the order in which they were found."""
        self.headline = f"The configuration has {len(problems)} problems."
        self.details = tuple(map(str, problems))
        super().__init__(
            _in_one_line(self.headline, self.details),
            "Mend what is named; 'archiver config check' says whether all is well then.",
        )


def _in_one_line(headline: str, details: Sequence[str]) -> str:
    """Write all problems as sentences of one line, for a log and for systemd's status."""
    ends = (".", "?", "!")
    return " ".join((headline, *(line if line.endswith(ends) else f"{line}." for line in details)))


def _shown_value(key: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ""
    if _SECRET_NAME.search(key) and not key.endswith("_file"):
        return " = ***"
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = re.sub(r"//[^/@\s]*@", "//***@", text)
    return f" = {shown(text, 80)}"
