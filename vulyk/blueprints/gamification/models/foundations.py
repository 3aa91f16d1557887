"""Stored funds, and what has been paid to them."""

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from io import BytesIO
from typing import IO, Any

from flask_mongoengine.documents import Document
from mongoengine import (
    BooleanField,
    DateTimeField,
    Decimal128Field,
    EmailField,
    ImageField,
    StringField,
    ValidationError,
)
from PIL import Image

from vulyk.blueprints.gamification.core.foundations import Fund
from vulyk.texts import gettext

IMAGE_FORMATS = ('PNG', 'JPEG', 'GIF', 'WEBP')
MAX_LOGO_BYTES = 4 * 1024 * 1024
MAX_LOGO_PIXELS = 16_000_000


class FundFilterBy(Enum):
    """Which funds are wanted."""

    NO_FILTER = 0
    DONATABLE = 1
    NON_DONATABLE = 2


class FundModel(Document):
    """A fund as it is stored; see :class:`~vulyk.blueprints.gamification.core.foundations.Fund`."""

    id = StringField(max_length=50, primary_key=True)
    name = StringField(max_length=100, required=True)
    description = StringField(max_length=2000, default='')
    site = StringField(max_length=200)
    email = EmailField()
    logo = ImageField(thumbnail_size=(141, 106, True))
    donatable = BooleanField(default=True)

    meta = {
        'collection': 'gamification.funds',
        'allow_inheritance': True,
        'auto_create_index': False,
        'index_cls': False,
        'strict': False,
    }

    def __str__(self) -> str:
        return str(self.name)

    def clean(self) -> None:
        """Refuse a site that is no web address: pages show it as a link."""
        if self.site and not self.site.startswith(('https://', 'http://')):
            raise ValidationError(gettext('site: must begin with https:// or http://.'))

    @classmethod
    def find_by_id(cls, fund_id: str) -> Fund | None:
        """The fund with that id, or None."""
        model = cls.objects(pk=fund_id).first()
        return model.to_fund() if model is not None else None

    @classmethod
    def get_funds(cls, filter_by: FundFilterBy = FundFilterBy.NO_FILTER) -> Iterator[Fund]:
        """Funds by name, all or those that can (not) be donated to."""
        chosen = cls.objects.order_by('name', 'id')
        if filter_by is not FundFilterBy.NO_FILTER:
            chosen = chosen.filter(donatable=filter_by is FundFilterBy.DONATABLE)
        return (model.to_fund() for model in chosen)

    @classmethod
    def from_fund(cls, fund: Fund) -> 'FundModel':
        """A document of a fund, not saved yet; the logo is stored at once.

        :raises ValidationError: the logo is no picture.
        """
        model = cls(
            id=fund.id,
            name=fund.name,
            description=fund.description,
            site=fund.site or None,
            email=fund.email or None,
            donatable=fund.donatable,
        )
        if fund.logo:
            model.logo.put(check_logo(fund.logo))
        return model

    def to_fund(self) -> Fund:
        """The fund of this document."""
        return Fund(
            fund_id=self.id,
            name=self.name,
            description=self.description or '',
            site=self.site,
            email=self.email,
            logo=self.logo if self.logo and self.logo.grid_id else None,
            donatable=bool(self.donatable),
        )


class PayoutModel(Document):
    """Money that was handed over to a fund.

    :ivar period: the month the donations were made in, ``2026-11``, UTC.
    :ivar number: payouts of one fund and period are counted from 1; the key makes sure that none is recorded twice.
    """

    id = StringField(primary_key=True)
    fund = StringField(required=True)
    period = StringField(required=True, regex=r'^\d{4}-\d{2}$')
    amount = Decimal128Field(required=True)
    paid_at = DateTimeField(required=True, default=lambda: datetime.now(UTC), db_field='paidAt')
    reference = StringField(max_length=500, default='')

    meta = {
        'collection': 'gamification.payouts',
        'auto_create_index': False,
        'strict': False,
        'indexes': [('fund', 'period')],
    }


def check_logo(file: IO[bytes] | Any) -> BytesIO:
    """The picture in a file, written anew: what else was in the file, comments or whatever follows it, is not in there.

    :raises ValidationError: it is none, or too large; the text says what is possible.
    """
    content = file.read(MAX_LOGO_BYTES + 1)
    if len(content) > MAX_LOGO_BYTES:
        raise ValidationError(gettext('The logo is larger than %(limit)s MB.', limit=MAX_LOGO_BYTES // 1024 // 1024))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error', Image.DecompressionBombWarning)
            with Image.open(BytesIO(content), formats=IMAGE_FORMATS) as picture:
                if picture.width * picture.height > MAX_LOGO_PIXELS:
                    raise ValidationError(
                        gettext('The logo has more than %(limit)s million pixels.', limit=MAX_LOGO_PIXELS // 1_000_000)
                    )
                picture.load()
                kept = {name: picture.info[name] for name in ('transparency', 'icc_profile') if name in picture.info}
                kind, picture.info = picture.format, {}
                written = BytesIO()
                picture.save(written, kind, **kept, **({'quality': 95} if kind in ('JPEG', 'WEBP') else {}))
    except ValidationError:
        raise
    except Exception as error:  # Pillow raises whatever a broken file leads it to
        raise ValidationError(
            gettext('The logo is not a picture (%(kinds)s) that can be shown.', kinds=', '.join(IMAGE_FORMATS))
        ) from error
    written.seek(0)
    return written
