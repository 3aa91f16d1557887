"""What operators do from the command line: plain functions, and the click commands that call them."""

from collections.abc import Iterable
from functools import partial

from vulyk.cli.context import operator
from vulyk.models import audit
from vulyk.models.user import DEFAULT_GROUP, Group, User


def is_initialized(default_key: str = DEFAULT_GROUP) -> bool:
    """Whether the default group exists."""
    return Group.objects(pk=default_key).first() is not None


def project_init(allowed_types: Iterable[str]) -> None:
    """Make the default group, or update it, so that it allows exactly these task types; everybody becomes a member."""
    group, types = Group.objects(pk=DEFAULT_GROUP), list(allowed_types)
    allow = partial(group.update_one, upsert=True, set__allowed_types=types)
    audit.change(operator(), Group, DEFAULT_GROUP, 'update', allow)
    User.objects(groups__ne=DEFAULT_GROUP).update(add_to_set__groups=DEFAULT_GROUP)
