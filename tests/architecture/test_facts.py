"""Facts: who tells which, and that each has a name, a schema and a listener of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from libs.events.catalog import FACTS
from libs.events.envelope import Fact
from tests.architecture.source import ROOT, modules


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
def test_a_fact_is_told_by_its_owner_and_by_nobody_else(fact: type[Fact]) -> None:
    made_in = {
        module.service
        for module in modules("services")
        for call in module.calls()
        if isinstance(call.func, ast.Name) and call.func.id == fact.__name__
    }

    assert made_in <= {fact.source}
    assert made_in or fact in TO_COME, f"nobody tells {fact.__name__}"


TO_COME: set[type[Fact]] = set()


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.__name__)
def test_a_fact_lives_in_its_owners_file_and_is_named_after_what_happened(fact: type[Fact]) -> None:
    assert fact.__module__ == f"libs.events.{fact.source}"
    assert re.fullmatch(r"strandline\.[a-z]+(\.[a-z]+)*\.v[1-9]", fact.type_name)
    assert fact.__name__.endswith(("ed", "Changed"))
    assert (fact.__doc__ or "").strip()


def test_types_and_subjects_are_one_to_one_with_facts() -> None:
    assert len({fact.type_name for fact in FACTS}) == len({fact.token for fact in FACTS}) == len(FACTS)


def test_every_fact_that_is_defined_is_in_the_catalog() -> None:
    assert {fact.__name__ for fact in FACTS} == {kind.__name__ for kind in _leaves(Fact)}


def _leaves(kind: type[Fact]) -> set[type[Fact]]:
    known = {child for child in kind.__subclasses__() if child.__module__.startswith("libs.events.")}
    return set().union(*(_leaves(child) for child in known)) if known else {kind}


def test_services_know_each_other_by_facts_and_questions_alone() -> None:
    crossing = [
        f"{module.name} imports {name}"
        for module in modules("services")
        if module.service != "standalone"
        for name in module.imported()
        if name.startswith("services.") and name.split(".")[1] != module.service
    ]

    assert crossing == []


def test_no_service_names_the_schema_of_another() -> None:
    schemas = {"differ", "ledger", "reviewer"}
    reading = [
        f"{module.name}: {other}"
        for module in modules("services")
        if module.service in schemas
        for other in schemas - {module.service}
        if re.search(rf"\b(FROM|JOIN|INTO|UPDATE)\s+{other}\.", (ROOT / Path(module.name)).read_text())
    ]

    assert reading == []
