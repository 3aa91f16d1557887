"""Points, levels, badges, coins and donations; ``gamification`` is the module that settings name."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == 'gamification':  # at first use, so that the plain Python of ``core`` can be imported without Flask
        from vulyk.blueprints.gamification.routes import gamification

        return gamification
    raise AttributeError(name)
