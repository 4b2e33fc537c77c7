"""All settings, from the environment. With nothing set: SQLite, one process, local only.

`.env` in the project's folder is read too; `.env.example` lists every variable.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _
from environs import Env

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env()
env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", False)
# The default key marks an installation nobody has configured yet: it may only serve this machine (see serve.py).
DEVELOPMENT_KEY = "tandem-development-only-do-not-use-this-key-where-anybody-else-can-reach-it"
SECRET_KEY = env.str("SECRET_KEY", DEVELOPMENT_KEY)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])

# --- The domain's defaults (design: domain.md). Times in seconds. ------------------------------------------------
TANDEM = {
    "DEFAULT_SESSION_TIMEOUT": env.int("DEFAULT_SESSION_TIMEOUT", 1800),  # robot idle, and the gap between stretches
    "GROUP_AFTER": env.int(
        "GROUP_AFTER", 60
    ),  # that somebody has to open a session for a message, before it is grouped
    "HUMAN_SESSION_TIMEOUT": env.int("HUMAN_SESSION_TIMEOUT", 8 * 3600),  # from activation
    "WAITING_SESSION_TIMEOUT": env.int(
        "WAITING_SESSION_TIMEOUT", 24 * 3600
    ),  # PENDING or PAUSED: nothing waits for ever
    "TRANSFER_TIMEOUT": env.int("TRANSFER_TIMEOUT", 300),
    "OFFER_TIMEOUT": env.int("OFFER_TIMEOUT", 30),
    "AGENT_AWAY_AFTER": env.int("AGENT_AWAY_AFTER", 60),
    "AGENT_GONE_AFTER": env.int("AGENT_GONE_AFTER", 300),
    "FLOW_LEASE": env.int("FLOW_LEASE", 120),
    "FLOW_EXPIRY": env.int("FLOW_EXPIRY", 24 * 3600),
    "MAX_CONCURRENT_SESSIONS": env.int("MAX_CONCURRENT_SESSIONS", 10),
    "BATCH_SIZE": env.int("BATCH_SIZE", 100),  # rows per transaction, for API and task
    "INGEST_CHUNK": env.int("INGEST_CHUNK", 5000),  # rows per transaction, for files of history
    "FAILED_ANSWERS": env.int("FAILED_ANSWERS", 3),  # in a row, before a human is asked for
    "DECISION_RETENTION": env.int("DECISION_RETENTION", 30 * 24 * 3600),  # why conversations were offered to whom
    "CONTEXT_MESSAGES": env.int("CONTEXT_MESSAGES", 50),  # how many travel with a transfer
    "ATTACHMENT_UNSENT": env.int("ATTACHMENT_UNSENT", 24 * 3600),  # an upload that nobody sends
}

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "config.apps.TandemAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "agents_app",
    "messaging_app",
    "sessions_app",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Database: SQLite beside the code unless DATABASE_URL names another ------------------------------------------
DATABASES = {"default": env.dj_db_url("DATABASE_URL", f"sqlite:///{BASE_DIR / 'data' / 'tandem.sqlite3'}")}
_database = DATABASES["default"]
_lock_ms = env.int("DATABASE_LOCK_TIMEOUT_MS", 2_000)
_statement_ms = env.int("DATABASE_STATEMENT_TIMEOUT_MS", 5_000)  # 0 for migrations of large tables
_options = _database.setdefault("OPTIONS", {})
if "sqlite" in _database["ENGINE"]:
    if "/" in str(_database["NAME"]):
        Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    # IMMEDIATE takes the write lock when a transaction begins: no deadlock between a read and a later write.
    _options |= {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
elif "postgresql" in _database["ENGINE"]:
    _options.setdefault(
        "options",
        f"-c lock_timeout={_lock_ms} -c statement_timeout={_statement_ms} "
        "-c idle_in_transaction_session_timeout=10000 -c default_transaction_isolation=read\\ committed",
    )
    _database["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", 60)
    _database["CONN_HEALTH_CHECKS"] = True
elif "mysql" in _database["ENGINE"]:
    _options |= {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "init_command": f"SET SESSION innodb_lock_wait_timeout={max(1, _lock_ms // 1000)}, "
        "SESSION sql_mode='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', SESSION time_zone='+00:00', "
        "SESSION group_concat_max_len=1000000",  # MySQL would cut a list of ids at 1024 characters
    }
    _database["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", 60)
    _database["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: carries hints between processes and Celery's work. Without it, one process follows the stream itself --
REDIS_URL = env.str("REDIS_URL", "")
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    }
else:
    CHANNEL_LAYERS = {}
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", REDIS_URL or "memory://")
CELERY_TASK_ALWAYS_EAGER = not env.str("CELERY_BROKER_URL", REDIS_URL)  # embedded: run where it was called
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

# --- The API -----------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["agents_app.authentication.Bearer", "agents_app.authentication.Login"],
    "DEFAULT_PERMISSION_CLASSES": ["agents_app.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "config.api.Pages",
    "DEFAULT_SCHEMA_CLASS": "config.openapi.Described",
    "DEFAULT_THROTTLE_CLASSES": ["agents_app.throttles.PerCaller"],
    "DEFAULT_THROTTLE_RATES": {
        "caller": env.str("API_RATE", "6000/min"),
        "anonymous": env.str("ANONYMOUS_RATE", "60/min"),
    },
    "EXCEPTION_HANDLER": "config.api.problem",
    # How many proxies stand before us and add to X-Forwarded-For; what is beyond them anybody may have written.
    "NUM_PROXIES": env.int("PROXIES", 1 if env.bool("HTTPS", False) else 0),
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", 1_000_000)  # of a request in JSON
BATCH_MAX_BYTES = env.int("BATCH_MAX_BYTES", 50_000_000)  # of a batch of messages
METRICS_TOKEN = env.str("METRICS_TOKEN", "")  # without it, only this machine may read the metrics
TOKEN_LIFETIME = env.int("TOKEN_LIFETIME", 24 * 3600)  # of a customer's or participant's token, in seconds
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Tandem",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["config.openapi.polished", "sessions_app.api.document.completed"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}

# --- Events (docs/events.md); times in seconds -------------------------------------------------------------------
EVENT_RETENTION = env.int("EVENT_RETENTION", 7 * 24 * 3600)  # an older cursor gets a reset
EVENT_HEARTBEAT = env.float("EVENT_HEARTBEAT", 15.0)  # a quiet stream says that it is there
EVENT_PATIENCE = env.float("EVENT_PATIENCE", 20.0)  # a client that reads nothing for so long is closed

# --- Webhooks ----------------------------------------------------------------------------------------------------
# For development only: also send to this machine itself, and by plain http.
WEBHOOK_ALLOW_LOOPBACK = env.bool("WEBHOOK_ALLOW_LOOPBACK", False)

# --- People ------------------------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["agents_app.backends.WithAgent"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "desk"
LOGOUT_REDIRECT_URL = "login"
# The try-it page plays a customer without a login: for development and demonstration only.
TRY_IT = env.bool("TRY_IT", SECRET_KEY == DEVELOPMENT_KEY)

# --- Notices: how invited people are told; a channel that is not set is off (docs/notices.md) ----------------------
PUBLIC_URL = env.str("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")  # as people outside reach us
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "tandem@localhost")
EMAIL_URL = env.str("EMAIL_URL", "")
NOTICE_TIMEOUT = env.float("NOTICE_TIMEOUT", 10.0)
MAILERS: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}
if EMAIL_URL:
    _mail = env.dj_email_url("EMAIL_URL")
    MAILERS["default"]["BACKEND"] = _mail["EMAIL_BACKEND"]
else:
    SILENCED_SYSTEM_CHECKS = ["mail.E001"]  # no mail is a choice; whoever invites is told that nothing was sent
if MAILERS["default"]["BACKEND"].endswith("smtp.EmailBackend"):
    MAILERS["default"]["OPTIONS"] = {
        "host": _mail["EMAIL_HOST"],
        "port": _mail["EMAIL_PORT"],
        "username": _mail["EMAIL_HOST_USER"],
        "password": _mail["EMAIL_HOST_PASSWORD"],
        "use_tls": _mail["EMAIL_USE_TLS"],
        "use_ssl": _mail["EMAIL_USE_SSL"],
        "timeout": NOTICE_TIMEOUT,
    }
NOTICE_WEBHOOK_URL = env.str("NOTICE_WEBHOOK_URL", "")
NOTICE_WEBHOOK_SECRET = env.str("NOTICE_WEBHOOK_SECRET", "")
WECOM_URL = env.str("WECOM_URL", "https://qyapi.weixin.qq.com").rstrip("/")
WECOM_CORP_ID = env.str("WECOM_CORP_ID", "")
WECOM_SECRET = env.str("WECOM_SECRET", "")
WECOM_AGENT_ID = env.int("WECOM_AGENT_ID", 0)

# --- Departments: a class with the interface of agents_app.directory; off without one (docs/people.md) -------------
DIRECTORY = env.str("DIRECTORY", "")

# --- Analyser: a language model that is asked where the rules of need do not escalate; off without an address -------
ANALYSER_URL = env.str("ANALYSER_URL", "").rstrip("/")  # speaks OpenAI's chat completions: https://…/v1
ANALYSER_KEY = env.str("ANALYSER_KEY", "")
ANALYSER_MODEL = env.str("ANALYSER_MODEL", "")
ANALYSER_TIMEOUT = env.float("ANALYSER_TIMEOUT", 5.0)
ANALYSER_CALLS_PER_MINUTE = env.int("ANALYSER_CALLS_PER_MINUTE", 60)  # of one tenant, in one process
ANALYSER_CHARACTERS = env.int("ANALYSER_CHARACTERS", 2_000)  # of a message, at most

# --- Language and time -------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", _("English")),
    ("es", _("Spanish")),
    ("ja", _("Japanese")),
    ("th", _("Thai")),
    ("vi", _("Vietnamese")),
    ("zh-hans", _("Simplified Chinese")),
    ("zh-hant", _("Traditional Chinese")),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = env.str("TIME_ZONE", "UTC")
USE_TZ = True

# --- Files -------------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "data" / "static"
# What is kept for a while, such as batches that are not stored yet. All processes must reach it; it is served to nobody.
MEDIA_ROOT = env.path("FILES", BASE_DIR / "data" / "files")
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    # What people attach to messages (docs/attachments.md): beside the above, or in a store that speaks S3.
    "attachments": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": env.path("ATTACHMENT_FILES", MEDIA_ROOT / "media"),
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}
ATTACHMENT_MAX_BYTES = env.int("ATTACHMENT_MAX_BYTES", 10 * 1024 * 1024)
ATTACHMENT_MAX_PIXELS = env.int(
    "ATTACHMENT_MAX_PIXELS", 40_000_000
)  # of a picture; each may cost four bytes for a moment
ATTACHMENT_TYPES = [
    name.strip()
    for name in env.list(
        "ATTACHMENT_TYPES",
        [
            "image/png",
            "image/jpeg",
            "image/gif",
            "image/webp",
            "application/pdf",
            "text/plain",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "audio/mpeg",
            "video/mp4",
        ],
    )
]
ATTACHMENT_S3_BUCKET = env.str("ATTACHMENT_S3_BUCKET", "")
if ATTACHMENT_S3_BUCKET:
    if not find_spec("storages"):
        raise ImproperlyConfigured("ATTACHMENT_S3_BUCKET needs django-storages: install it with `make env-s3`.")
    from botocore.config import Config as S3Config

    STORAGES["attachments"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": ATTACHMENT_S3_BUCKET,
            "location": env.str("ATTACHMENT_S3_PREFIX", ""),
            "endpoint_url": env.str("ATTACHMENT_S3_ENDPOINT", "") or None,  # empty: Amazon's
            "region_name": env.str("ATTACHMENT_S3_REGION", "") or None,
            # Without them boto3 looks where it always does: AWS_ACCESS_KEY_ID, a profile, the machine's role.
            "access_key": env.str("ATTACHMENT_S3_ACCESS_KEY", "") or None,
            "secret_key": env.str("ATTACHMENT_S3_SECRET_KEY", "") or None,
            "client_config": S3Config(
                signature_version="s3v4",
                s3={"addressing_style": env.str("ATTACHMENT_S3_ADDRESSING", "auto")},
                connect_timeout=5,
                read_timeout=20,
                retries={"max_attempts": 2, "mode": "standard"},
            ),
            "querystring_auth": True,
            "default_acl": None,  # private, as the bucket is
            "file_overwrite": True,  # names are random: it need not ask whether there is one
            "max_memory_size": 1_000_000,  # of a file that is read; the rest waits on disk
        },
    }
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # serves from the source folders when collectstatic has not run

# --- Security ----------------------------------------------------------------------------------------------------
SECURE_CSP = {
    "default-src": [CSP.SELF],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "connect-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
    "form-action": [CSP.SELF],
}
X_FRAME_OPTIONS = "DENY"
HTTPS = env.bool("HTTPS", False)  # True behind a proxy that ends TLS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"}},
    "filters": {"discreet": {"()": "config.logs.Discreet"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["discreet"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "daphne": {"level": "WARNING"},
        "django.channels.server": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},  # it would log whole addresses, and WeCom's hold secrets
        "httpcore": {"level": "WARNING"},
    },
}

# --- The admin's theme; the sidebar is a list in config/admin.py -------------------------------------------------
UNFOLD = {
    "SITE_TITLE": "Tandem",
    "SITE_HEADER": "Tandem",
    "SITE_SUBHEADER": _("Supervision"),
    "SITE_ICON": lambda _request: static("css/tandem.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("css/tandem.svg")}],
    "SITE_URL": "/desk/",
    "STYLES": [lambda _request: static("css/admin.css")],
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
