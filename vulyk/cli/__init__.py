"""What operators do from the command line: plain functions, and the click commands that call them."""

from collections.abc import Iterable

from vulyk.models.user import DEFAULT_GROUP, Group, User


def is_initialized(default_key: str = DEFAULT_GROUP) -> bool:
    """Whether the default group exists."""
    return Group.objects(pk=default_key).first() is not None


def project_init(allowed_types: Iterable[str]) -> None:
    """Make the default group, or update it, so that it allows exactly these task types; everybody becomes a member."""
    Group.objects(pk=DEFAULT_GROUP).update_one(upsert=True, set__allowed_types=list(allowed_types))
    User.objects(groups__ne=DEFAULT_GROUP).update(add_to_set__groups=DEFAULT_GROUP)
