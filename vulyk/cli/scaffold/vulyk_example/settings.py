"""Settings of the task type. A site changes them by the same names in its ``local_settings``."""

# Whether choosing an answer submits it at once.
SUBMIT_ON_CHOICE = False
