"""Accounts: registration, confirmation and reset by mail, the profile, and what becomes of people's data."""
