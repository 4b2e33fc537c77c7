"""What the OpenAPI document shows beside each operation: requests and responses from one shop's day.

A test checks every one of them against its schema.
"""

from sessions_app.api.examples.outcomes import OUTCOMES
from sessions_app.api.examples.requests import BODIES, LINES
from sessions_app.api.examples.responses import ANSWERS, STREAMED

__all__ = ["ANSWERS", "BODIES", "LINES", "OUTCOMES", "STREAMED"]
