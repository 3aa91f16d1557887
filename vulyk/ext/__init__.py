"""Strategies a task type owns and a plugin may swap."""
