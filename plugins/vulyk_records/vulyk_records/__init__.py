"""A picture of an index card beside a form: the volunteer copies the card into its fields. A task type for Vulyk."""

from vulyk.utils import plugin_settings as configure

__all__ = ['configure']
