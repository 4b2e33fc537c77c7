"""`{% load limits %}{% limit "MAX_REASON" %}`: a figure of config/limits.py in a template."""

from __future__ import annotations

from django import template

from config import limits

register = template.Library()


@register.simple_tag
def limit(name: str, more: int = 0) -> int:
    """The limit, plus `more` that people type around the text. Raises `AttributeError` for an unknown name."""
    return int(getattr(limits, name)) + more
