"""How the admin looks. Its sidebar is a list in config/admin.py."""

from __future__ import annotations

from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

UNFOLD = {
    "SITE_TITLE": "Tandem",
    "SITE_HEADER": "Tandem",
    "SITE_SUBHEADER": _("Supervision"),
    "SITE_ICON": lambda _request: static("images/tandem.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("images/tandem.svg")}],
    "SITE_URL": "/desk/",
    "STYLES": [lambda _request: static("css/pages/admin.css")],
    "SHOW_BACK_BUTTON": True,
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"navigation": "config.admin.navigation"},
    "COLORS": {
        "primary": {  # the desk's blue
            "50": "#edf2ff",
            "100": "#dbe4ff",
            "200": "#bac8ff",
            "300": "#91a7ff",
            "400": "#748ffc",
            "500": "#5c7cfa",
            "600": "#3b5bdb",
            "700": "#364fc7",
            "800": "#2f44ad",
            "900": "#283a91",
            "950": "#1b2660",
        }
    },
}
