"""A text: the volunteer chooses one of the answers. A task type for Vulyk."""

from vulyk.utils import plugin_settings as configure

__all__ = ['configure']
