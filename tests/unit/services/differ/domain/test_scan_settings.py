"""``.strandline.toml`` is data; what is wrong in it is told by line and key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.differ.domain.scan_settings import BadSettings, Rules, ScanSettings, parse_settings

WRONG = [
    (b'exclude = ["a"]\ninclud = ["b"]\n', "line 2: unknown key 'includ'"),
    (b"# a\n\nexclude = 'a'\n", "line 3: exclude must be a list of patterns"),
    (b"exclude = [1]\n", "line 1: exclude must be a list of patterns"),
    (b"max_file_size = true\n", "line 1: max_file_size must be a size"),
    (b'max_file_size = "2 GiB"\n', "line 1: max_file_size must be a size"),
    (b"max_file_size = 0\n", "line 1: max_file_size must be a size"),
    (b"max_file_size = 9000000\n", "at most 8 MiB"),
    (b'vendored = "yes"\n', "line 1: vendored must be true or false"),
    (b"a = 1\na = 2\n", "line 2"),
    (b"exclude = [\n", "line 2"),
    (b'x = "\xff"\n', "line 1: it is not UTF-8"),
    (b"directories = 1\n", "line 1: directories must be a table"),
    (b'[directories]\nsrc = "x"\n', "line 2: src must be a table"),
    (b'[directories."../x"]\nexclude = []\n', "line 1: ../x must be a table"),
    (b"exclude = []\n[directories.src]\nexclude = [1]\n", "line 3: exclude must be"),
    (b"[directories.src]\ncolour = 1\n", "line 2: unknown key 'colour'"),
    (b'exclude = ["*a*a*a*a*a*b"]\n', "line 1: exclude must be patterns with at most"),
    (b'exclude = ["**/**/**/x"]\n', "with at most two"),
    (b'exclude = ["' + b"a" * 501 + b'"]\n', "of at most 500 characters"),
    (b"#" * 70_000, "larger than"),
    (b"x = " + b"[" * 20_000, "line 1"),
]


@pytest.mark.parametrize(("content", "sentence"), WRONG)
def test_what_is_wrong_is_told_by_line_and_key(content: bytes, sentence: str) -> None:
    with pytest.raises(BadSettings) as caught:
        parse_settings(content)

    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_nearer_to_the_file_wins_and_exclusions_add_up() -> None:
    settings = parse_settings(
        b'exclude = ["*.log"]\nmax_file_size = "1 KB"\n'
        b'[directories."src/big"]\nmax_file_size = 5000\nvendored = true\nexclude = ["/x.py"]\n'
    )

    assert settings.judge("src/a.py").max_file_size == 1000
    assert settings.judge("src/big/a.py").max_file_size == 5000
    assert settings.judge("src/big/a.py").vendored
    assert settings.judge("src/big/deep/a.log").excluded_by == "exclude *.log"
    assert settings.judge("src/big/x.py").excluded_by == "exclude /x.py in src/big/"
    assert settings.judge("src/big/deep/x.py").excluded_by is None
    assert settings.judge("src/bigger/x.py").excluded_by is None


def test_only_what_is_included_is_analysed() -> None:
    settings = parse_settings(b'include = ["src/**", "!src/old/**"]\n')

    assert settings.judge("src/a.py").excluded_by is None
    assert settings.judge("src/old/a.py").excluded_by == "not in include"
    assert settings.judge("a.py").excluded_by == "not in include"


def test_an_exclusion_can_be_taken_back() -> None:
    settings = parse_settings(b'exclude = ["*.md", "!README.md"]\n')

    assert settings.judge("a.md").excluded_by == "exclude *.md"
    assert settings.judge("README.md").excluded_by is None


def test_the_services_rules_lie_beneath_the_repositorys() -> None:
    service = Rules(exclude=("*.tmp",), max_file_size=10, vendored=True)
    settings = parse_settings(b'exclude = ["*.log"]\nmax_file_size = 20\n').under(service)

    assert settings.judge("a.tmp").excluded_by
    assert settings.judge("a.log").excluded_by
    assert (settings.judge("a").max_file_size, settings.judge("a").vendored) == (20, True)


def test_the_digest_changes_with_every_setting_and_with_nothing_else() -> None:
    texts = [
        b"",
        b'exclude = ["a"]\n',
        b'include = ["a"]\n',
        b"max_file_size = 5\n",
        b"vendored = true\n",
        b"generated = true\n",
        b"[directories.a]\nvendored = true\n",
    ]

    assert len({parse_settings(text).digest() for text in texts}) == len(texts)
    assert parse_settings(b"# words\n").digest() == ScanSettings().digest() == parse_settings(b"").digest()


@given(st.binary(max_size=300))
def test_any_bytes_are_settings_or_a_sentence(content: bytes) -> None:
    assert problem_with(content) in ("", ".strandline.toml")


def problem_with(content: bytes) -> str:
    """How the sentence starts, empty where there is none."""
    try:
        parse_settings(content)
    except BadSettings as error:
        return str(error)[: len(".strandline.toml")]
    return ""
