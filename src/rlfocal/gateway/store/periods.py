"""Days and periods of a budget: when they begin and end, and what a key has spent in its own.

Everything is counted by the calendar of UTC, so that all processes agree on when a day ends.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import sqlalchemy as sa

from rlfocal.database import SafeText
from rlfocal.gateway.store.schema import keys, reservations, spending

__all__ = ["HELD", "PERIODS", "SPENT", "UNSETTLED", "Period", "day_of", "ends_in_s", "starts"]

Period = Literal["day", "month", "total"]
PERIODS: tuple[Period, ...] = get_args(Period)

_first_day = sa.case(
    (keys.c.period == "day", sa.bindparam("today", type_=SafeText)),
    (keys.c.period == "month", sa.bindparam("month", type_=SafeText)),
    else_="",
)


def _in_period(what: sa.ColumnElement[float]) -> sa.ScalarSelect[float]:
    return (
        sa.select(sa.func.coalesce(sa.func.sum(what), 0.0))
        .where(spending.c.key_id == keys.c.id, spending.c.day >= _first_day)
        .correlate(keys)
        .scalar_subquery()
    )


SPENT = _in_period(spending.c.usd + spending.c.unsettled_usd)
"""Dollars of a key in its period, what is unsettled included; inside a query over keys, which needs
the parameters of `starts`. Days that have not come, written by a clock that was ahead, count too:
rather twice than not at all."""
UNSETTLED = _in_period(spending.c.unsettled_usd)
"""What of them is unsettled."""
HELD: sa.ScalarSelect[float] = (
    sa.select(sa.func.coalesce(sa.func.sum(reservations.c.usd), 0.0))
    .where(reservations.c.key_id == keys.c.id)
    .correlate(keys)
    .scalar_subquery()
)
"""Dollars that a key's requests under way may cost at most. One whose lease is over counts until it
is swept: its process was killed, but its calls may well be billed."""


def day_of(moment: float) -> str:
    """The day of a moment, as ISO 8601.

    >>> day_of(86399.9), day_of(86400)
    ('1970-01-01', '1970-01-02')
    """
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def starts(now: float) -> dict[str, str]:
    """The first days of the periods that are going on.

    >>> starts(86400 * 40)
    {'today': '1970-02-10', 'month': '1970-02-01'}
    """
    today = day_of(now)
    return {"today": today, "month": f"{today[:7]}-01"}


def ends_in_s(period: Period, now: float) -> float | None:
    """Seconds until a period is over; None where it never is.

    >>> ends_in_s("day", 86400 * 30 + 86399), ends_in_s("month", 86400 * 30), ends_in_s("total", 0)
    (1.0, 86400.0, None)
    """
    if period == "total":
        return None
    moment = datetime.fromtimestamp(now, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        end = midnight + timedelta(days=1)
    else:
        end = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    return (end - moment).total_seconds()
