"""Funds: those to whom coins are donated, and those who make the donations real."""

import io
from typing import Any


class Fund:
    """A fund.

    :param fund_id: a short name for addresses.
    :param site: its web address, if there is one.
    :param logo: a file-like object with its picture, or nothing.
    :param donatable: whether coins can be given to it.
    """

    def __init__(
        self,
        fund_id: str,
        name: str,
        description: str,
        site: str | None,
        email: str | None,
        logo: io.IOBase | None,
        donatable: bool,
    ) -> None:
        self.id = fund_id
        self.name = name
        self.description = description
        self.site = site
        self.email = email
        self.logo = logo
        self.donatable = donatable

    def to_dict(self) -> dict[str, Any]:
        """What others see of a fund: a source for JSON. What it has not is an empty text."""
        return {
            'id': self.id,
            'name': self.name,
            'description': self.description,
            'site': self.site or '',
            'email': self.email or '',
            'donatable': self.donatable,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fund) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.id)
