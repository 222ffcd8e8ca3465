"""git's error messages, each turned into one sentence of ours."""

from __future__ import annotations

import re

from services.differ.clients.git import GitFailed
from services.differ.ports import RepositoryProblem

# The pattern in what git said, the sentence about the address, what mends it, and whether it may pass by itself.
PROBLEMS: tuple[tuple[str, str, str, bool], ...] = (
    (r"No space left on device|Disk quota exceeded", "the disk is full while reading {}", "free some space", True),
    (
        r"Could not resolve host|unable to look up|Name or service not known|Temporary failure in name resolution",
        "the host of {} is not known",
        "check the address and the network",
        True,
    ),
    (
        r"Connection refused|timed out|Connection reset|Failed to connect|unreachable|unexpected disconnect|early EOF",
        "{} cannot be reached",
        "check the network",
        True,
    ),
    (r"Host key verification failed", "the SSH host key of {} is not known", "add it to known_hosts", False),
    (
        r"Authentication failed|could not read (?:Username|Password)|Permission denied \(|terminal prompts disabled"
        r"|error: 40[13]|Invalid username",
        "{} refuses access",
        "check the credentials",
        False,
    ),
    (
        r"(?i)repository .*not found|does not appear to be a git repository|not a git repository|error: 404",
        "there is no git repository at {}",
        "check the address",
        False,
    ),
    (r"couldn't find remote ref", "{} has no such branch", "check the name", False),
    (r"Permission denied", "{} cannot be read", "check its permissions", False),
    (
        r"mismatched algorithms",
        "{} has changed its object format",
        "remove the repository here and register it again",
        False,
    ),
    (
        r"(?i)unable to read|missing|bad object|bad tree|corrupt|loose object|did not send all|not a valid object"
        r"|could not parse|not a tree|inflate|hash mismatch|invalid object|empty filename|too-short tree|malformed"
        r"|Could not read|remote did not send",
        "an object of {} is missing or cannot be read",
        "run git fsck there",
        False,
    ),
    (r"transport '.*' not allowed", "the transport of {} is not allowed", "use https or ssh", False),
)
_FATAL = re.compile(r"^(?:fatal|error): (.*)$", re.MULTILINE)


def problem_of(error: GitFailed, address: str) -> RepositoryProblem:
    """The sentence for a failed call; where we know none, git's own first complaint."""
    for pattern, sentence, mend, passing in PROBLEMS:
        if re.search(pattern, error.said):
            return RepositoryProblem(sentence.format(address), mend=mend, passing=passing)
    fatal = _FATAL.search(error.said)
    said = fatal[1][:200] if fatal else f"it ended with {error.code}"
    return RepositoryProblem(f"git cannot read {address}: {said}")
