"""What the ledger is told by its environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.runtime.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """``STRANDLINE_LEDGER_…``. Budgets are in ticks of 10⁻¹⁰ USD; none means no limit of that kind."""

    model_config = SettingsConfigDict(env_prefix="STRANDLINE_LEDGER_")

    daily_budget_ticks: int | None = Field(None, ge=0, description="The most all repositories may commit in a UTC day.")
    monthly_budget_ticks: int | None = Field(None, ge=0, description="The same for a calendar month.")
    repository_daily_budget_ticks: int | None = Field(
        None, ge=0, description="For every repository that has no budget of its own."
    )
    repository_monthly_budget_ticks: int | None = Field(None, ge=0)
    batch: int = Field(500, ge=1, le=5000, description="Facts counted in one transaction, at most.")

    @property
    def budgets(self) -> dict[tuple[str, str, str], int | None]:
        """By scope, id and period, as the books keep them; ``*`` stands for every repository."""
        return {
            ("global", "", "day"): self.daily_budget_ticks,
            ("global", "", "month"): self.monthly_budget_ticks,
            ("repository", "*", "day"): self.repository_daily_budget_ticks,
            ("repository", "*", "month"): self.repository_monthly_budget_ticks,
        }
