"""``.strandline.toml``: what a repository says of its own scanning. Data only; it can never run code.

    include = ["src/**"]            # only these; none: everything
    exclude = ["docs/**"]
    max_file_size = "2 MiB"         # or a number of bytes
    vendored = true                 # analyse vendored files, too
    generated = true                # analyse generated files, too

    [directories."tests/fixtures"]  # the same keys for one directory; patterns start there
    exclude = ["*"]

Patterns are those of ``.gitignore``. How many wildcards one may hold is limited, since a matcher can be made to
run for hours by a pattern that is made for it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

from pathspec import GitIgnoreSpec

LISTING_VERSION = 1
"""Raised when the rules of this package list other files or other reasons than before."""
SETTINGS_PATH = b".strandline.toml"
MAX_SETTINGS_BYTES = 64 * 1024
MAX_PATTERNS = 500
MAX_PATTERN_LENGTH = 500
MAX_DIRECTORIES = 200
DEFAULT_FILE_SIZE = 1024 * 1024
LARGEST_FILE_SIZE = 8 * 1024 * 1024

_UNITS = {"": 1, "b": 1, "kb": 1000, "kib": 1024, "mb": 1_000_000, "mib": 1024 * 1024}
_SIZE = re.compile(r"^\s*(\d{1,12})\s*([A-Za-z]*)\s*$")
_TOML_LINE = re.compile(r"\(at line (\d+)")


class BadSettings(ValueError):
    """``.strandline.toml`` is wrong; the sentence names the line and the key."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of the root or of one directory. None: as the directory above."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_file_size: int | None = None
    vendored: bool | None = None
    generated: bool | None = None

    @cached_property
    def included(self) -> GitIgnoreSpec:
        return GitIgnoreSpec.from_lines(self.include)

    @cached_property
    def excluded(self) -> GitIgnoreSpec:
        return GitIgnoreSpec.from_lines(self.exclude)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the settings say of one path."""

    excluded_by: str | None
    max_file_size: int
    vendored: bool
    generated: bool


@dataclass(frozen=True, kw_only=True)
class ScanSettings:
    """Rules by directory; ``""`` is the root."""

    rules: Mapping[str, Rules] = field(default_factory=lambda: {"": Rules()})

    def judge(self, path: str) -> Verdict:
        """The root's rules, then those of each directory on the way; what is nearer wins."""
        excluded_by, size, vendored, generated = None, DEFAULT_FILE_SIZE, False, False
        for folder, rest in _folders_of(path) if len(self.rules) > 1 else (("", path),):
            rules = self.rules.get(folder)
            if rules is None:
                continue
            excluded_by = excluded_by or _excluded_by(rules, folder, rest)
            size = rules.max_file_size if rules.max_file_size is not None else size
            vendored = rules.vendored if rules.vendored is not None else vendored
            generated = rules.generated if rules.generated is not None else generated
        return Verdict(excluded_by=excluded_by, max_file_size=size, vendored=vendored, generated=generated)

    def under(self, service: Rules) -> ScanSettings:
        """With the service's own root rules beneath: exclusions add up, the repository's other words win."""
        root = self.rules.get("", Rules())
        merged = replace(
            root,
            include=root.include or service.include,
            exclude=service.exclude + root.exclude,
            max_file_size=root.max_file_size if root.max_file_size is not None else service.max_file_size,
            vendored=root.vendored if root.vendored is not None else service.vendored,
            generated=root.generated if root.generated is not None else service.generated,
        )
        return ScanSettings(rules={**self.rules, "": merged})

    def digest(self) -> str:
        """Changes whenever a setting, or a rule of our own, could list something else."""
        known = {
            folder: [rules.include, rules.exclude, rules.max_file_size, rules.vendored, rules.generated]
            for folder, rules in self.rules.items()
        }
        return blake2b(json.dumps([LISTING_VERSION, known], sort_keys=True).encode(), digest_size=16).hexdigest()


def parse_settings(content: bytes) -> ScanSettings:
    """The settings of a ``.strandline.toml``.

    Raises:
        BadSettings: it is too large, no TOML, or has an unknown key or a wrong type.
    """
    if len(content) > MAX_SETTINGS_BYTES:
        raise BadSettings(f".strandline.toml is larger than {MAX_SETTINGS_BYTES} bytes")
    try:
        text = content.decode()
        found = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadSettings(f".strandline.toml, line {line}: it is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        where = _TOML_LINE.search(str(error))
        line = int(where[1]) if where else text.count("\n") + 1
        raise BadSettings(f".strandline.toml, line {line}: {error}") from None
    return ScanSettings(rules=_all_rules(found, text))


def _all_rules(found: Mapping[str, object], text: str) -> dict[str, Rules]:
    root = {key: value for key, value in found.items() if key != "directories"}
    rules = {"": _rules(root, "", text)}
    directories = found.get("directories", {})
    if not isinstance(directories, dict):
        raise _wrong("directories", "a table of directories", text)
    if len(directories) > MAX_DIRECTORIES:
        raise _wrong("directories", f"at most {MAX_DIRECTORIES} directories", text)
    for name, table in directories.items():
        folder = name.strip("/")
        if not isinstance(table, dict) or not folder or ".." in folder.split("/"):
            raise _wrong(name, "a table named by a directory of the repository", text, table="directories")
        rules[folder] = _rules(table, name, text)
    return rules


def _rules(table: Mapping[str, object], name: str, text: str) -> Rules:
    readers = {
        "include": _patterns,
        "exclude": _patterns,
        "max_file_size": _size,
        "vendored": _flag,
        "generated": _flag,
    }
    values: dict[str, object] = {}
    for key, value in table.items():
        if key not in readers:
            known = ", ".join([*readers, "directories"] if not name else readers)
            raise BadSettings(f"{_place(key, text, name)}: unknown key {key!r}, known are {known}")
        read, problem = readers[key](value)
        if problem:
            raise _wrong(key, problem, text, table=name)
        values[key] = read
    return Rules(**values)  # type: ignore[arg-type]


def _patterns(value: object) -> tuple[object, str]:
    if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
        return None, "a list of patterns"
    if len(value) > MAX_PATTERNS:
        return None, f"at most {MAX_PATTERNS} patterns"
    for pattern in value:
        if problem := _pattern_problem(pattern):
            return None, f"patterns {problem}, unlike {pattern[:60]!r}"
    return tuple(value), ""


def _pattern_problem(pattern: str) -> str:
    if len(pattern) > MAX_PATTERN_LENGTH:
        return f"of at most {MAX_PATTERN_LENGTH} characters"
    parts = pattern.split("/")
    if sum(part == "**" for part in parts) > 2 or any(len(re.findall(r"\*+", part)) > 3 for part in parts):
        return "with at most two ** and three * in a name"
    if pattern.count("*") > 8:
        return "with at most eight *"
    try:
        GitIgnoreSpec.from_lines([pattern])
    except ValueError:
        return "as in .gitignore"
    return ""


def _size(value: object) -> tuple[object, str]:
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = _SIZE.match(value) if isinstance(value, str) else None
        if match is None or match[2].lower() not in _UNITS:
            return None, 'a size such as 500000 or "2 MiB"'
        size = int(match[1]) * _UNITS[match[2].lower()]
    if not 0 < size <= LARGEST_FILE_SIZE:
        return None, f"a size of at most {LARGEST_FILE_SIZE // (1 << 20)} MiB"
    return size, ""


def _flag(value: object) -> tuple[object, str]:
    return (value, "") if isinstance(value, bool) else (None, "true or false")


def _wrong(key: str, wanted: str, text: str, *, table: str = "") -> BadSettings:
    return BadSettings(f"{_place(key, text, table)}: {key} must be {wanted}")


def _place(key: str, text: str, table: str) -> str:
    """The line of a key, which ``tomllib`` does not tell: the first line that names it, after its table's header."""
    named = re.compile(
        rf"""^\s*(?:\[.*)?["']?{re.escape(key)}["']?\s*[=.\]]|[{{,.\[]\s*["']?{re.escape(key)}["']?\s*[=\].]"""
    )
    reached = not table
    for number, line in enumerate(text.splitlines(), start=1):
        reached = reached or table in line
        if reached and named.search(line):
            return f".strandline.toml, line {number}"
    return ".strandline.toml"


def _excluded_by(rules: Rules, folder: str, path: str) -> str | None:
    where = f" in {folder}/" if folder else ""
    if rules.exclude:
        result = rules.excluded.check_file(path)
        if result.include and result.index is not None:
            return f"exclude {rules.exclude[result.index]}{where}"
    if rules.include and not rules.included.match_file(path):
        return f"not in include{where}"
    return None


def _folders_of(path: str) -> Sequence[tuple[str, str]]:
    """Each directory of the path with what is left of the path below it, the root first."""
    cuts = [place for place, character in enumerate(path) if character == "/"][:100]
    return [("", path), *((path[:cut], path[cut + 1 :]) for cut in cuts)]
