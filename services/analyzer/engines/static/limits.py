"""What is not given to a parser: content that costs it minutes or gigabytes."""

from __future__ import annotations

from itertools import accumulate

MAX_BYTES = 512_000
MAX_LINE = 20_000
MAX_NESTING = 1_000
_NOT_BRACKETS = bytes(set(range(256)) - set(b"([{)]}"))
_STEP = {**dict.fromkeys(b"([{", 1), **dict.fromkeys(b")]}", -1)}


def decode(content: bytes) -> str:
    """The text, whatever its encoding: byte order marks say, else UTF-8 with what is none replaced. Lines end in LF."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16", "replace")
    else:
        text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def refusal(text: str, lines: list[str]) -> str | None:
    """Why a parser is not to see this text; none where it may."""
    size = len(text)
    if size > MAX_BYTES:
        return f"too large to parse: {size} characters, the limit is {MAX_BYTES}"
    longest = len(max(lines, key=len, default=""))
    if longest > MAX_LINE:
        return f"line too long to parse: {longest} characters, the limit is {MAX_LINE}"
    depth = nesting(text)
    if depth > MAX_NESTING:
        return f"nested too deeply to parse: {depth} brackets, the limit is {MAX_NESTING}"
    return None


def nesting(text: str) -> int:
    """How many brackets are open at once, at most. Those in strings and comments are counted too."""
    brackets = text.encode("utf-8", "replace").translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)
