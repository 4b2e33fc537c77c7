"""The settings of drf-spectacular, which makes the OpenAPI document; what we add to it stands in config/openapi.py."""

from __future__ import annotations

from config import build

SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Tandem",
    "VERSION": build.VERSION,  # the release's; the API's own version stands in its addresses
    # Relative to the document's own address: right under whatever name an installation is reached.
    "SERVERS": [{"url": "/", "description": "The installation that this document comes from."}],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,  # the body of a PATCH declares its optional fields itself
    "POSTPROCESSING_HOOKS": ["config.openapi.polished", "sessions_app.api.document.completed"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}
