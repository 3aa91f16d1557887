"""A picture of a printed line: the volunteer types what it says. A task type for Vulyk."""

from vulyk.utils import plugin_settings as configure

__all__ = ['configure']
