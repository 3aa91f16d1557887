"""How fast the platform is, and what it does under load."""
