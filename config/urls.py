from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from agents_app.logins.views import LoginView
from sessions_app.api import urls as api
from sessions_app.workbench import urls as workbench

handler400 = "config.failures.bad_request"
handler403 = "config.failures.permission_denied"
handler404 = "config.failures.page_not_found"
handler500 = "config.failures.server_error"

admin.autodiscover()  # loaded already, but where `config.apps` left it out

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="desk"), name="home"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("language/", set_language, name="set_language"),
    path("desk/", include(workbench.desk)),
    path("try-it/", include(workbench.try_it)),
    path("join/", include(workbench.join)),
    path("joined/", include(workbench.joined)),
    path("design/", include(workbench.design)),
    path("api/", include(api)),
    path("admin/", admin.site.urls),
]
