"""The house rules that a reader would otherwise have to take on trust (design §4, law 12)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "archiver"

FOUNDATIONS = {"model", "errors", "clock", "urls", "text", "config", "reasons", "records"}
ROOMS = {"events", "checking", "archiving", "store", "reporting", "notify"}
SERVICE = {"service"}
# Process life, pages, commands, the rehearsal: they may know everything below them.
FACES = {"cli", "daemon", "demo", "web", "__main__"}
# What a face needs and no room may know: how to speak to systemd and to the journal.
BESIDE_THE_FACES = {"systemd", "logs"}

# The one home of each third-party library, as module prefixes. "Its" types may be named where
# a seam is declared: `aiohttp.abc` is the resolver's shape, not the client.
HOMES = {
    "aiohttp": {"checking", "archiving", "notify"},
    "aiohttp.abc": {"checking", "demo", "notify", "service.desk"},
    "aiohttp.web": {"web", "demo"},
    "apscheduler": {"daemon"},
    "click": {"cli"},
    "cryptography": {"demo.certificates"},
    "frontmatter": {"events"},
    "idna": {"urls"},
    "jinja2": {"reporting", "web"},
    "multidict": {"demo", "web"},
    "prometheus_client": {"web", "reporting"},
    "pydantic": {"config"},
    "pydantic_core": {"config"},
    "pydantic_settings": {"config"},
    "rapidfuzz": {"checking"},
    "requests": {"archiving.anonymous"},
    "rich": {"cli"},
    "selectolax": {"checking"},
    "sqlite_utils": {"store"},
    "warcio": {"archiving"},
    "waybackpy": {"archiving.anonymous"},
    "yaml": {"events"},
    "yarl": {"checking", "archiving"},
}

LONGEST_FILE = 400
# Longer files, and why each is one file all the same. This list may only shrink.
LONG_FILES = {
    "checking/belief.py": "one pure function, settle, with its whole table of transitions",
    "checking/fetch.py": "a look: its redirect loop, its second tries and its sibling",
    "checking/lanes.py": "one machine: lanes, places and leases share every invariant",
    "checking/wire.py": "one request with all its limits",
    "config/sections.py": "one class a section of the configuration: a table",
    "demo/wayback.py": "the archive stand-in: one server, one class",
    "urls.py": "the rules of addresses, most of them tables",
}


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the program by its dotted name below `archiver`, parsed."""
    parsed = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        dotted = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        parsed[dotted.removesuffix(".__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return parsed


def imports(name: str) -> Iterator[str]:
    """Yield the dotted names a module imports, also inside functions and TYPE_CHECKING blocks."""
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inner_imports(name: str) -> set[str]:
    """Return the first parts below `archiver` of what a module imports of the program."""
    found = set()
    for imported in imports(name):
        if imported.startswith("archiver."):
            found.add(imported.split(".")[1])
    return found - {"__version__"}


def test_every_module_has_its_place_in_the_house() -> None:
    tops = {name.partition(".")[0] for name in modules()} - {"__init__", ""}
    known = FOUNDATIONS | ROOMS | SERVICE | FACES | BESIDE_THE_FACES
    assert tops <= known, tops - known
    assert tops >= FOUNDATIONS | ROOMS | SERVICE | {"cli", "daemon", "demo"}


@pytest.mark.parametrize(
    ("group", "allowed"),
    [
        (FOUNDATIONS, FOUNDATIONS),
        (BESIDE_THE_FACES, FOUNDATIONS),
        (SERVICE, FOUNDATIONS | ROOMS | SERVICE),
        (FACES, FOUNDATIONS | ROOMS | SERVICE | FACES | BESIDE_THE_FACES),
    ],
    ids=["foundations", "beside the faces", "service", "faces"],
)
def test_arrows_point_down(group: set[str], allowed: set[str]) -> None:
    wrong = {
        name: inner_imports(name) - allowed
        for name in modules()
        if name.partition(".")[0] in group and inner_imports(name) - allowed
    }
    assert wrong == {}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_no_room_imports_another(room: str) -> None:
    wrong = {
        name: inner_imports(name) - FOUNDATIONS - {room}
        for name in modules()
        if name.partition(".")[0] == room and inner_imports(name) - FOUNDATIONS - {room}
    }
    assert wrong == {}


def test_each_library_has_one_home() -> None:
    strangers = defaultdict(set)
    for name in modules():
        for imported in imports(name):
            top = imported.partition(".")[0]
            if top in sys.stdlib_module_names or top == "archiver":
                continue
            library = max(
                (key for key in HOMES if f"{imported}.".startswith(f"{key}.")), key=len, default=top
            )
            homes = HOMES.get(library, set())
            if not any(f"{name}.".startswith(f"{home}.") for home in homes):
                strangers[library].add(name)
    assert dict(strangers) == {}


def test_every_library_we_depend_on_is_used_and_every_used_one_is_a_dependency() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[<>=~! ]", text)[0].lower() for text in project["dependencies"]}
    used = {
        imported.partition(".")[0] for name in modules() for imported in imports(name)
    } - sys.stdlib_module_names
    by_import = {"frontmatter": "python-frontmatter", "yaml": "pyyaml"}
    # These come with a declared library, which is named instead.
    with_another = {"multidict", "yarl", "pydantic", "pydantic_core", "archiver"}
    named = {by_import.get(name, name.replace("_", "-")) for name in used - with_another}
    assert named == declared


def test_a_file_is_rarely_longer_than_400_lines() -> None:
    long = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE
    }
    assert long <= LONG_FILES.keys(), long - LONG_FILES.keys()


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    assert not [name for name in modules() if re.search(r"(^|\.)(utils?|helpers?|misc)$", name)]


@pytest.mark.parametrize("package", sorted(FOUNDATIONS | ROOMS | SERVICE))
def test_only_the_store_writes_sql(package: str) -> None:
    statement = re.compile(r"^\s*(SELECT .+ FROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM)")
    speaking = [
        (name, node.value[:60])
        for name, tree in modules().items()
        if name.partition(".")[0] == package and package != "store"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if statement.match(node.value)
    ]
    assert speaking == []


def files_of_the_project() -> list[Path]:
    """Return the files that are, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode == 0:
        return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    return [path for path in PACKAGE.rglob("*.py")]


def test_no_file_names_a_place_on_the_machine_it_was_written_on() -> None:
    # Put together here so that this file does not name them itself.
    places = re.compile(
        "|".join(f"/{word}/" for word in ("work", "Users", "root", r"home/(?!me/)"))
    )
    naming = [
        path.relative_to(ROOT).as_posix()
        for path in files_of_the_project()
        if places.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert naming == []


def test_the_top_level_is_what_a_newcomer_expects() -> None:
    top = {path.relative_to(ROOT).parts[0] for path in files_of_the_project()}
    needed = {
        *(".ci", "LICENSE", "Makefile", "README.md", "SECURITY.md", "pyproject.toml"),
        *("archiver", "benchmarks", "config", "events", "systemd", "tests"),
    }
    known = {".gitignore", "docs", "CHANGELOG.md", "CONTRIBUTING.md"}
    if (ROOT / ".git").exists():
        assert needed <= top <= needed | known
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^\s*(exec )?make test\b", run, re.M)


@pytest.mark.parametrize("target", ["run", "demo", "test"])
def test_make_has_the_three_commands(target: str) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", text, re.M)
