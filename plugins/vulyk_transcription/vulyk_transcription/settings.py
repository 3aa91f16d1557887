"""Settings of the task type. A site changes them by the same names in its ``local_settings``."""

# The characters offered as buttons, separated by spaces (or a list); the first ten also by Alt+1 … Alt+9, Alt+0.
# Their order follows how often German prints of the 19th century need what a common keyboard lacks.
SPECIAL_CHARACTERS = 'ſ ⸗ ß ä ö ü é „ “ ’ Ä Ö Ü è à ç æ œ — ꝛ ℔'
