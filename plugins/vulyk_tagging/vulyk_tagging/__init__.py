"""A text: the volunteer marks words in it and says what they are. A task type for Vulyk."""

from vulyk.utils import plugin_settings as configure

__all__ = ['configure']
