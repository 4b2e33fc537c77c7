"""`{% load limits %}{% limit "MAX_REASON" %}`: a figure of config/limits.py in a template."""

from __future__ import annotations

from django import template

from config import limits

register = template.Library()


@register.simple_tag
def limit(name: str, more: int = 0) -> int:
    """The limit, and `more` for what people type beside it. Raises `AttributeError` for one that there is not."""
    return int(getattr(limits, name)) + more
