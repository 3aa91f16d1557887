"""Vulyk: a crowdsourcing platform."""
