"""The likeliest trouble comes first, and the same files always come in the same order."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from services.differ.domain.ranking import Ranked, density, order, trouble

RANKED = st.lists(
    st.builds(Ranked, st.binary(min_size=1, max_size=8), st.floats(1, 100)), unique_by=lambda ranked: ranked.path
)


def test_more_of_anything_is_more_trouble() -> None:
    plain = trouble(churn=1, density=1, size=100)

    assert trouble(churn=9, density=1, size=100) > plain
    assert trouble(churn=1, density=2, size=100) > plain
    assert trouble(churn=1, density=1, size=900) > plain


def test_branching_code_is_denser_than_a_list() -> None:
    code = b"if (a && b) {\n            while (c) {\n            }\n}\n"

    assert density(code) > density(b"a\nb\nc\nd\n") == 0 == density(b"")


@given(RANKED, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_files_came(files: list[Ranked], shuffle: random.Random) -> None:
    shuffled = files.copy()
    shuffle.shuffle(shuffled)

    assert order(shuffled) == order(files)
    assert [f.trouble for f in order(files)] == sorted((f.trouble for f in files), reverse=True)
