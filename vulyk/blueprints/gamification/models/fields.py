"""Fields of the game's documents."""

from datetime import UTC, datetime
from typing import Any

from mongoengine import ComplexDateTimeField


class MomentField(ComplexDateTimeField):  # type: ignore[misc]  # mongoengine has no types
    """A moment with its microseconds, stored as the text ``2026,11,20,21,06,52,012380,UTC``; aware, in UTC.

    The text sorts like the moments. Older versions left the zone out.
    """

    def _convert_from_datetime(self, val: datetime) -> str:
        moment = val.astimezone(UTC) if val.tzinfo else val
        return f'{moment:{self.format}},UTC'

    def _convert_from_string(self, data: str) -> datetime:
        return datetime(*(int(part) for part in data.split(self.separator)[:7]), tzinfo=UTC)

    def prepare_query_value(self, op: str | None, value: Any) -> Any:
        return self._convert_from_datetime(value) if isinstance(value, datetime) else value


def to_text(moment: datetime) -> str:
    """How :class:`MomentField` stores a moment, for what is written without mongoengine."""
    return str(MomentField().to_mongo(moment))


def from_text(text: str) -> datetime:
    """The inverse of :func:`to_text`."""
    return MomentField()._convert_from_string(text)
