"""Puts the admin pages at ``/admin/``."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask


def init(app: 'Flask') -> None:
    """Nothing unless ``ENABLE_ADMIN``."""
