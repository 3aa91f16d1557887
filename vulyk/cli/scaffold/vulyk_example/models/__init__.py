"""Documents and the task type."""
