"""What the ledger takes from its environment."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.ledger.settings import Settings

NEEDED = {"nats_url": "nats://nowhere", "database_url": "postgresql://nowhere"}


def test_budgets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_URL", "nats://nowhere")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setenv("STRANDLINE_LEDGER_DAILY_BUDGET_TICKS", "50")
    settings = Settings()  # type: ignore[call-arg]  # from the environment

    assert settings.budgets["global", "", "day"] == 50
    assert settings.budgets["repository", "*", "month"] is None


def test_a_budget_below_nothing_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({**NEEDED, "monthly_budget_ticks": -1})
