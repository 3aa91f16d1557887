"""Data out: answers are read (``reading``), shaped (``formats``) and written (``writing``)."""
