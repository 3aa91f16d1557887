"""Optional features, one package each; ``VulykModule`` is the base class of their blueprints."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == 'VulykModule':
        from vulyk.blueprints.module import VulykModule

        return VulykModule
    raise AttributeError(name)
