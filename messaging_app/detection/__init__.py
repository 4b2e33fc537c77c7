"""Does somebody need a human? The ways in: `detector_for(tenant_id)`, and behind it `analyser_for(tenant_id)`."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from messaging_app.detection.model import Analyser
from messaging_app.detection.rules import Detector, Need, Row, Rules, load

__all__ = ["Analyser", "Detector", "Need", "analyser_for", "detector_for"]


def detector_for(tenant_id: int) -> Detector:
    """The tenant's rules in use, compiled.

    One query a call and no timer: the compiled form is kept under the rows' own content, so an edit counts from the
    next message on, in every process. A tenant without rules needs nobody (`defaults.install` gives it some).
    """
    return _compiled(load(tenant_id))


def analyser_for(tenant_id: int) -> Analyser | None:
    """What may be asked where the rules do not escalate: outside of every transaction, because it asks another server.

    None unless the installation names one (ANALYSER_URL) and the tenant has a rule of the kind `model` in use.
    """
    if not settings.ANALYSER_URL:
        return None
    rule = _compiled(load(tenant_id)).model
    return Analyser(rule, tenant_id) if rule else None


@lru_cache(maxsize=256)
def _compiled(rows: tuple[Row, ...]) -> Rules:
    return Rules(rows)
