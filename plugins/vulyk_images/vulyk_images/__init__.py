"""A photo and a question: the volunteer picks one of the answers. A task type for Vulyk."""

from vulyk.utils import plugin_settings as configure

__all__ = ['configure']
