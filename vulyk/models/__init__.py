"""Documents, task types and their exceptions."""
