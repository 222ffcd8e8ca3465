"""What an analysis becomes before it is kept and told."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from libs.events.analyzer import Category, FileAnalysis, Finding, Severity
from libs.events.differ import FileQueued
from libs.events.envelope import MAX_FACT_BYTES, encode
from services.analyzer.domain import KeptAnalysis, analyzed, as_kept


def a_result(*, findings: int, text: str = "why") -> KeptAnalysis:
    found = [
        Finding(
            rule="tool/rule",
            category=Category.CORRECTNESS,
            severity=Severity.LOW,
            title="Something is wrong",
            description=text,
            start_line=number,
            end_line=number,
            fingerprint=f"{number:016x}",
        )
        for number in range(1, findings + 1)
    ]
    analysis = FileAnalysis(language="python", engine="static", engine_version="1", outcome="complete", findings=found)
    return KeptAnalysis(analysis=analysis, scan_id="s", key="0" * 16)


def test_an_ordinary_result_is_kept_as_it_is() -> None:
    result = a_result(findings=3)

    kept, text = as_kept(result)

    assert kept is result
    assert KeptAnalysis.model_validate_json(text) == result


def test_a_result_that_no_fact_could_carry_is_cut_and_says_by_how_much() -> None:
    kept, text = as_kept(a_result(findings=400, text="ж" * 1000))

    queued = FileQueued(repository_id="r", scan_id="s", key="0" * 16, path="a.py", content_hash="c", size=1)
    assert len(encode(analyzed(queued, kept))) <= MAX_FACT_BYTES
    assert len(kept.analysis.findings) + kept.analysis.findings_cut == 400
    assert KeptAnalysis.model_validate_json(text) == kept


@given(
    findings=st.integers(0, 3000),
    text=st.text(alphabet='a\u0001ж😀\\"', max_size=400),
    bulk=st.integers(0, 3000),
    path=st.text(alphabet="p\u0001ж", min_size=1, max_size=50).map(lambda part: (part * 32768)[:32768]),
)
@example(findings=3000, text="x" * 400, bulk=0, path="\u0001" * 32768)
@settings(max_examples=15, deadline=None)
def test_whatever_an_engine_says_of_whatever_path_fits_into_its_fact(
    findings: int, text: str, bulk: int, path: str
) -> None:
    result = a_result(findings=findings, text=text)
    more = {"imports": [text[:300]] * bulk, "partial_reasons": [text[:300]] * bulk, "summary": text}
    kept, _ = as_kept(result.model_copy(update={"analysis": result.analysis.model_copy(update=more)}))
    for shown in ("a.py", path):
        queued = FileQueued(repository_id="r", scan_id="s", key="0" * 16, path=shown, content_hash="c", size=1)
        fact = analyzed(queued, kept)

        assert len(encode(fact)) <= MAX_FACT_BYTES
        assert len(fact.analysis.findings) + fact.analysis.findings_cut == findings
        assert fact.analysis.findings == result.analysis.findings[: len(fact.analysis.findings)]
