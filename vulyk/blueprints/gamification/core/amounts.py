"""Points and coins: exact decimals, whatever they come as."""

from collections.abc import Iterable
from decimal import Context, Decimal, InvalidOperation
from typing import Any

ZERO = Decimal(0)
MAX_DECIMALS = 12  # of anything that is added up, so that 34 digits always suffice for a sum
MAX_AMOUNT = Decimal(10) ** 18

_WIDE = Context(prec=60)


class NumbersError(ValueError):
    """Numbers nobody can count with; ``text`` and ``facts`` are those of ``RuleValidationException``."""

    def __init__(self, text: str, **facts: Any) -> None:
        super().__init__(text % facts if facts else text)
        self.text, self.facts = text, facts


def exact(value: Any) -> Decimal:
    """The decimal number that a value shows when it is printed: ``0.1`` is one tenth, not the nearest binary fraction.

    :param value: an int, float, Decimal, Decimal128 or text.
    :raises NumbersError: not a finite number, more than ``MAX_DECIMALS`` decimals, or beyond ``MAX_AMOUNT``.
    """
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise NumbersError('%(value)s is not a number.', value=repr(value)) from error
    if not number.is_finite():
        raise NumbersError('%(value)s is not a finite number.', value=repr(value))
    if abs(number) > MAX_AMOUNT:
        raise NumbersError('%(value)s is larger than anything that is counted here.', value=repr(value))
    number = plain(number)
    if -number.as_tuple().exponent > MAX_DECIMALS:  # type: ignore[operator]  # a finite number has an integer there
        raise NumbersError('%(value)s has more than %(limit)s decimals.', value=repr(value), limit=MAX_DECIMALS)
    return number


def earned(value: Any) -> Decimal:
    """What a task is worth: ``exact``, but a third is rounded, and nothing is worth less than nothing.

    :raises NumbersError: not a finite number, or beyond ``MAX_AMOUNT``.
    """
    try:
        number = exact(value)
    except ValueError:
        try:
            number = exact(_WIDE.quantize(Decimal(str(value)), Decimal(1).scaleb(-MAX_DECIMALS)))
        except InvalidOperation as error:
            raise NumbersError('%(value)s is not a number.', value=repr(value)) from error
    return max(number, ZERO)


def total(values: Iterable[Decimal]) -> Decimal:
    """The sum, without rounding."""
    result = ZERO
    for value in values:
        result = _WIDE.add(result, value)
    return plain(result)


def minus(one: Decimal, other: Decimal) -> Decimal:
    """The difference, without rounding."""
    return plain(_WIDE.subtract(one, other))


def plain(number: Decimal) -> Decimal:
    """The same number without an exponent and without zeros at its end: ``1``, not ``1.00``, and ``100``, not ``1E+2``."""
    number = _WIDE.normalize(number)
    return number if number.as_tuple().exponent <= 0 else _WIDE.quantize(number, Decimal(1))  # type: ignore[operator]
