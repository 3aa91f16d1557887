"""The module that ``ENABLED_BLUEPRINTS`` names."""

from vulyk.blueprints.module import VulykModule

gamification = VulykModule('gamification', __name__)
