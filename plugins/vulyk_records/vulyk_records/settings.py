"""Settings of the task type. A site changes them by the same names in its ``local_settings``."""

from flask_babel import lazy_gettext as _

# {name: description} of fields that a task names by their name alone. A description may have label, hint, required, pattern,
# max_length and lang, as in a task; a field without one is shown by its name.
FIELDS = {
    'last_name': {'label': _('Family name')},
    'first_name': {'label': _('First names'), 'hint': _('As on the card, also when shortened')},
    'title': {'label': _('Title'), 'hint': _('Without notes such as “Aus d. … Klinik”')},
    'place': {'label': _('Place of printing'), 'hint': _('Not the publisher')},
    'year': {'label': _('Year of printing'), 'hint': _('Four digits'), 'pattern': r'\d{4}'},
    'pages': {'label': _('Pages'), 'hint': _('Without “S.” or “p.”')},
}
