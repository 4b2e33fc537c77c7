"""Instances of models that were read, put together at once: what the framework makes of them, the same to the last attribute
(tests/test_compiled_query.py, tests/test_statements.py), without a call for each of their columns.

What is unusual is left to it: a model with an `__init__`, descriptors or listeners of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import FETCH_ONE, Model
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

_PLAIN = (DeferredAttribute, ForeignKeyDeferredAttribute)
"""Descriptors which, for a new instance, put a value into its dictionary and do no more."""


def instance(model: type[Model], names: Sequence[str], values: Sequence[Any], alias: str) -> Any:
    """As `model.from_db(alias, names, values)` makes it of a model that `is_plain`. `names` are those of attributes."""
    made = model.__new__(model)
    state = ModelState()
    state.adding, state.db, state.fetch_mode = False, alias, FETCH_ONE
    own = made.__dict__
    own["_state"] = state
    own.update(zip(names, values, strict=True))
    return made


def is_plain(model: type[Model]) -> bool:
    if model.__init__ is not Model.__init__ or model.from_db.__func__ is not Model.from_db.__func__:  # type: ignore[attr-defined]
        return False
    if len(model._meta.pk_fields) > 1 or pre_init.has_listeners(model) or post_init.has_listeners(model):
        return False
    return all(
        type(vars(model).get(f.attname, _inherited(model, f.attname))) in _PLAIN for f in model._meta.concrete_fields
    )


def _inherited(model: type[Model], name: str) -> Any:
    return next((vars(base)[name] for base in model.__mro__ if name in vars(base)), None)
