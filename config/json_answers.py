"""The JSON of the API's answers, by a compiled encoder: the bytes that REST framework's own would write.

Knows no field and no serializer: those are `config.compiled_answers`. The framework's settings name this class.
"""

from __future__ import annotations

from typing import Any

import orjson
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_DATACLASS
_default = JSONEncoder().default
_LINE_ENDS = (("\u2028".encode(), b"\\u2028"), ("\u2029".encode(), b"\\u2029"))
"""Characters that end a line in old scripts, and how they are written."""


class JsonAnswer(JSONRenderer):
    """What the fast encoder does not take, and what was asked for with an indent, the framework writes."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        if data is None or self.get_indent(accepted_media_type or "", renderer_context or {}) is not None:
            return super().render(data, accepted_media_type, renderer_context)
        try:
            text = orjson.dumps(data, _default, _OPTIONS)
        except (TypeError, ValueError, RecursionError):
            return super().render(data, accepted_media_type, renderer_context)
        if b"\xe2\x80" in text:
            for character, escaped in _LINE_ENDS:
                text = text.replace(character, escaped)
        return text
