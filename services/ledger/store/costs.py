"""Booked money by group. Rows and the total come from the same entries, so they always add up."""

from __future__ import annotations

from libs.db.database import Connection
from libs.questions.ledger import CostReport, CostRow, GetCost

REST = "(the rest)"

GROUPS = {
    "day": "to_char(day, 'YYYY-MM-DD')",
    "week": "to_char(day, 'IYYY-\"W\"IW')",
    "month": "to_char(day, 'YYYY-MM')",
    "repository": "repository_id",
    "scan": "scan_id",
    "model": "model",
    "stage": "stage",
    "file": "path",
}
IN_TIME = ("day", "week", "month", "scan")
"""Groups that people read newest first; the others dearest first."""

BOOKED = """
WITH booked AS (
    SELECT scan_id, repository_id, path, coalesce(nullif(model, ''), nullif(files.engine, ''), 'none') AS model,
           'analysis' AS stage, (accounted_at AT TIME ZONE 'UTC')::date AS day,
           1 AS files, 0 AS calls, 0 AS tokens, 0 AS ticks, 0 AS presumed_ticks, files.saved_ticks
    FROM files JOIN scans USING (scan_id)
    WHERE outcome <> 'skipped' AND ($1::text IS NULL OR scan_id = $1) AND ($2::text IS NULL OR repository_id = $2)
    UNION ALL
    SELECT scan_id, repository_id, path, coalesce(nullif(model, ''), 'none'), stage, day,
           0, calls, tokens, ticks, CASE source WHEN 'presumed' THEN ticks ELSE 0 END, 0
    FROM entries
    WHERE ($1::text IS NULL OR scan_id = $1) AND ($2::text IS NULL OR repository_id = $2)
), grouped AS (
    SELECT {group} AS "group", sum(files)::bigint AS files, sum(calls)::bigint AS calls, sum(tokens)::bigint AS tokens,
           sum(ticks)::bigint AS ticks, sum(presumed_ticks)::bigint AS presumed_ticks,
           sum(saved_ticks)::bigint AS saved_ticks
    FROM booked GROUP BY 1
), ranked AS (
    SELECT *, row_number() OVER (ORDER BY {order}) AS place, count(*) OVER () AS groups FROM grouped
)
SELECT CASE WHEN groups > $3 AND place >= $3 THEN $4 ELSE "group" END AS "group", sum(files)::bigint AS files,
       sum(calls)::bigint AS calls, sum(tokens)::bigint AS tokens, sum(ticks)::bigint AS ticks,
       sum(presumed_ticks)::bigint AS presumed_ticks, sum(saved_ticks)::bigint AS saved_ticks
FROM ranked GROUP BY 1 ORDER BY min(place)
"""
SUMMED = ("files", "calls", "tokens", "ticks", "presumed_ticks", "saved_ticks")


async def read_cost(connection: Connection, question: GetCost) -> CostReport:
    """Groups beyond the limit become one last row."""
    order = '"group" DESC' if question.by in IN_TIME else 'ticks DESC, files DESC, "group"'
    statement = BOOKED.format(group=GROUPS[question.by], order=order)
    found = await connection.fetch(statement, question.scan_id, question.repository_id, question.limit, REST)
    rows = [CostRow(**row) for row in found]
    sums = {name: sum(getattr(row, name) for row in rows) for name in SUMMED}
    return CostReport(by=question.by, rows=rows, total=CostRow(group="total", **sums))
