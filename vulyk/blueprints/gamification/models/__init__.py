"""Documents and task types of the gamification feature."""
