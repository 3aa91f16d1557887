"""Settings of the task type. A site changes them by the same names in its ``local_settings``."""

from flask_babel import lazy_gettext as _

# True: a word may belong to several spans. False: spans that overlap are refused.
ALLOW_OVERLAPS = False

# {value: (name, description)} of labels that a task names by their value alone; the description may be an empty text.
LABELS = {
    'PER': (_('Person'), _('Real or invented, with the title')),
    'GPE': (_('Town or country'), _('Any place with a government')),
    'LOC': (_('Natural place'), _('River, mountain, valley, continent')),
    'FAC': (_('Building or street'), _('Also forts and named houses')),
    'ORG': (_('Organisation'), _('Company, society, church')),
}
