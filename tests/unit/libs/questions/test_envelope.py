"""A question's address follows from its name, its answer's type from its base."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from libs import questions
from libs.events.envelope import Model
from libs.questions.differ import RequestScan, ScanTicket
from libs.questions.envelope import Question
from libs.questions.ledger import Reservation, Reserve


def every_question() -> list[type[Question[Model]]]:
    modules = [
        importlib.import_module(f"libs.questions.{module.name}") for module in pkgutil.iter_modules(questions.__path__)
    ]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Question)
        and value.__module__ == module.__name__
        and value is not Question
    ]


def test_the_address_names_service_and_question() -> None:
    assert RequestScan.subject() == "ask.differ.request_scan"
    assert Reserve.subject() == "ask.ledger.reserve"


def test_the_answer_s_type_is_the_base_s_argument() -> None:
    assert RequestScan.reply_type() is ScanTicket
    assert Reserve.reply_type() is Reservation


def test_every_question_has_an_address_of_its_own() -> None:
    subjects = [question.subject() for question in every_question()]

    assert len(subjects) > 10
    assert len(set(subjects)) == len(subjects)


@pytest.mark.parametrize("question", every_question(), ids=lambda question: question.__name__)
def test_every_question_says_what_it_is_answered_with(question: type[Question[Model]]) -> None:
    assert issubclass(question.reply_type(), Model)


def test_a_question_without_an_answer_s_type_is_refused() -> None:
    class Vague(Question):  # type: ignore[type-arg]
        pass

    with pytest.raises(TypeError, match="Vague"):
        Vague.reply_type()
