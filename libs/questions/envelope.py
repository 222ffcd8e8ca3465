"""How a question is addressed and answered: ``ask.<service>.<question>``, the service being its module's name."""

from __future__ import annotations

import re
from typing import Generic, TypeVar, cast

from libs.events.envelope import Model

Reply = TypeVar("Reply", bound=Model)
_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


class Question(Model, Generic[Reply]):
    """Something one service asks another; the base class's type argument is what it answers with."""

    @classmethod
    def subject(cls) -> str:
        """``ask.differ.request_scan`` for ``libs.questions.differ.RequestScan``."""
        service = cls.__module__.rsplit(".", 1)[-1]
        return f"ask.{service}.{_WORD_START.sub('_', cls.__name__).lower()}"

    @classmethod
    def reply_type(cls) -> type[Reply]:
        for ancestor in cls.__mro__:
            arguments = getattr(ancestor, "__pydantic_generic_metadata__", {}).get("args", ())
            if arguments:
                return cast("type[Reply]", arguments[0])
        raise TypeError(f"{cls.__name__} does not say what it answers with")
