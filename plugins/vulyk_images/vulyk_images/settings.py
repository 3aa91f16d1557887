"""Settings of the task type. A site changes them by the same names in its ``local_settings``."""

# True: pressing the number of an answer also submits it. False: press it twice, or press Enter.
SUBMIT_ON_CHOICE = False
