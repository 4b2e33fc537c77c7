"""All settings, from the environment. With nothing set: SQLite, one process, local only.

`.env` in the project's folder is read too; `.env.example` lists every variable. Each figure stands with its default, its least
and most value and its unit (`env.whole`, `env.number`). What is out of range, cannot be read or contradicts another setting
ends the process here, whatever imports the settings (config/environment.py, config/consistency.py).
"""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

from config import admin_theme, attachment_types, consistency, logs, openapi_settings, pooled
from config.environment import DAY, HOUR, MINUTE, YEAR, environment
from config.private import private_database

BASE_DIR = Path(__file__).resolve().parent.parent
env = environment(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", False)
# The default key marks an installation nobody has configured yet: it may only serve this machine (config/consistency.py).
DEVELOPMENT_KEY = consistency.DEVELOPMENT_KEY
SECRET_KEY = env.str("SECRET_KEY", DEVELOPMENT_KEY)
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])  # earlier keys, while a new one is introduced
# Keys that sign the record, as number:hex; the highest signs. Empty: key 0, from SECRET_KEY (config/audit_keys.py).
AUDIT_KEYS: list[str] = env.list("AUDIT_KEYS", [])
AUDIT_CHECKPOINT_FILE = env.str("AUDIT_CHECKPOINT_FILE", "")  # gets a signed line a day; empty: none is written
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])

# --- The domain's defaults (docs/rules.md, Figures). Times in seconds. -------------------------------------------
_robot_idle = env.whole("DEFAULT_SESSION_TIMEOUT", 1800, 1, 30 * DAY, "seconds")
TANDEM = {
    "DEFAULT_SESSION_TIMEOUT": _robot_idle,  # a robot idle
    # In which somebody may open a session for a customer's message, before it waits in sight of all
    "GROUP_AFTER": env.whole("GROUP_AFTER", 60, 0, DAY, "seconds"),
    "HISTORY_GAP": env.whole("HISTORY_GAP", _robot_idle, 1, 30 * DAY, "seconds"),  # between two stretches of history
    # A customer's message that comes in later than this is history
    "LATE_MESSAGE": env.whole("LATE_MESSAGE", 8 * HOUR, MINUTE, 30 * DAY, "seconds"),
    "HUMAN_SESSION_TIMEOUT": env.whole("HUMAN_SESSION_TIMEOUT", 8 * HOUR, 1, 30 * DAY, "seconds"),  # from activation
    # Before that end, at which its owner is warned
    "HUMAN_SESSION_WARNING": env.whole("HUMAN_SESSION_WARNING", 15 * MINUTE, 1, DAY, "seconds"),
    # PENDING or PAUSED: nothing waits for ever
    "WAITING_SESSION_TIMEOUT": env.whole("WAITING_SESSION_TIMEOUT", DAY, 1, 30 * DAY, "seconds"),
    "TRANSFER_TIMEOUT": env.whole("TRANSFER_TIMEOUT", 300, 1, 7 * DAY, "seconds"),
    "OFFER_TIMEOUT": env.whole("OFFER_TIMEOUT", 30, 1, DAY, "seconds"),
    # After everybody who fits has refused or ignored it; twice as long after each further round, an hour at most
    "OFFER_ROUND_PAUSE": env.whole("OFFER_ROUND_PAUSE", MINUTE, 1, HOUR, "seconds"),
    # In a row, before an agent is set to 'not responding'; 0 for never
    "OFFERS_IGNORED": env.whole("OFFERS_IGNORED", 3, 0, 100, "offers"),
    "AGENT_AWAY_AFTER": env.whole("AGENT_AWAY_AFTER", 60, 1, 7 * DAY, "seconds"),
    "AGENT_GONE_AFTER": env.whole("AGENT_GONE_AFTER", 300, 1, 7 * DAY, "seconds"),
    "FLOW_LEASE": env.whole("FLOW_LEASE", 120, 1, DAY, "seconds"),
    "FLOW_EXPIRY": env.whole("FLOW_EXPIRY", DAY, 1, 30 * DAY, "seconds"),
    "FLOW_PREVIEW_EXPIRY": env.whole("FLOW_PREVIEW_EXPIRY", DAY, 1, 30 * DAY, "seconds"),
    "MAX_CONCURRENT_SESSIONS": env.whole("MAX_CONCURRENT_SESSIONS", 10, 1, 1_000, "sessions"),
    "BATCH_SIZE": env.whole("BATCH_SIZE", 1_000, 1, 10_000, "rows"),  # per transaction, for the API
    "INGEST_CHUNK": env.whole("INGEST_CHUNK", 5_000, 1, 100_000, "rows"),  # per transaction, for files of history
    "FAILED_ANSWERS": env.whole("FAILED_ANSWERS", 3, 1, 100, "answers"),  # in a row, before a human is asked for
    # For which the reasons of assignments are kept
    "DECISION_RETENTION": env.whole("DECISION_RETENTION", 30 * DAY, HOUR, 10 * YEAR, "seconds"),
    "CONTEXT_MESSAGES": env.whole("CONTEXT_MESSAGES", 50, 1, 1_000, "messages"),  # that travel with a transfer
    "ATTACHMENT_UNSENT": env.whole("ATTACHMENT_UNSENT", DAY, MINUTE, 30 * DAY, "seconds"),  # for an upload nobody sends
}

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "config.apps.TandemAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
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
    "agents_app.api.cors.Cors",
    "config.caching.no_store",
    "config.middleware.api_in_json",
    "config.short_way.ShortWay",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.connections_given_back",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "agents_app.logins.lockout.VisitorLimits",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "agents_app.logins.lifetime.session_lifetime",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": ["config.compiled_templates.Loader"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"limits": "config.template_limits"},
        },
    }
]

# --- Database: SQLite beside the code unless DATABASE_URL names another ------------------------------------------
_database: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(BASE_DIR / "data" / "tandem.sqlite3")}
if env.str("DATABASE_URL", "").strip():
    _database = dict(env.dj_db_url("DATABASE_URL") or {"ENGINE": ""})  # unreadable: refused below
    env.problems += consistency.database_problems(_database)
DATABASES = {"default": _database}
_lock_ms = env.whole("DATABASE_LOCK_TIMEOUT_MS", 2_000, 100, 60_000, "milliseconds")
# 0: none, for migrations of large tables
_statement_ms = env.whole("DATABASE_STATEMENT_TIMEOUT_MS", 5_000, 0, 3_600_000, "milliseconds")
# Connections of one process: kept in a pool (PostgreSQL), or as many requests worked on at once (MariaDB). 0: no bound.
DATABASE_POOL_MAX = env.whole("DATABASE_POOL_MAX", 10, 0, 1_000, "connections")
DATABASE_POOL_MIN = env.whole("DATABASE_POOL_MIN", 1, 0, 1_000, "connections")
DATABASE_POOL_TIMEOUT = env.number("DATABASE_POOL_TIMEOUT", 5.0, 0.1, 60, "seconds")  # for a free one, then 503
REQUEST_THREADS = env.whole("REQUEST_THREADS", 32, 1, 1_000, "threads")  # requests worked on at once, under ASGI
# The server keeps the plans of our own statements. Not through a pgbouncer older than 1.21 that pools by transaction.
DATABASE_PREPARE = env.bool("DATABASE_PREPARE", True)
_max_age = env.whole("CONN_MAX_AGE", 0, 0, DAY, "seconds")
# FULL: what was acknowledged survives a power cut. NORMAL may lose the last commits then, and never breaks the file.
SQLITE_SYNCHRONOUS = env.one_of("SQLITE_SYNCHRONOUS", "FULL", ("FULL", "NORMAL"))
_options = _database.setdefault("OPTIONS", {})
if "sqlite" in _database["ENGINE"]:
    if "/" in str(_database["NAME"]):
        _file = Path(_database["NAME"])
        private_database(_file, is_own_folder=_file.parent == BASE_DIR / "data")
    # IMMEDIATE takes the write lock when a transaction begins: no deadlock between a read and a later write.
    _database["CONN_MAX_AGE"] = DAY  # when the last connection is closed, SQLite writes its whole log into the file
    _options |= {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": f"PRAGMA journal_mode=WAL; PRAGMA synchronous={SQLITE_SYNCHRONOUS}; PRAGMA foreign_keys=ON;",
    }
elif "postgresql" in _database["ENGINE"]:
    _options.setdefault(
        "options",
        f"-c lock_timeout={_lock_ms} -c statement_timeout={_statement_ms} "
        # A migration may work on rows for longer than any request stands between two statements.
        f"-c idle_in_transaction_session_timeout={10_000 if _statement_ms else 0} "
        "-c default_transaction_isolation=read\\ committed",
    )
    if DATABASE_PREPARE:
        _options.setdefault("prepare_threshold", 0)  # statements of our own, from their first use on
    # A server whose machine is gone is noticed: seconds to connect, and milliseconds until what was sent must have arrived.
    for _name, _value in {"connect_timeout": 5, "keepalives_idle": 10, "tcp_user_timeout": 20_000}.items():
        _options.setdefault(_name, _value)
    if DATABASE_POOL_MAX:
        _options["pool"] = {
            "min_size": min(DATABASE_POOL_MIN, DATABASE_POOL_MAX),
            "max_size": DATABASE_POOL_MAX,
            "timeout": DATABASE_POOL_TIMEOUT,
            "check": pooled.check,
            # Seconds until it is tried anew, at most: a server that was away for long is found again (psycopg: 300).
            "reconnect_timeout": 3,
        }
    # ASGI gives each request its own thread, and loses the connection that a thread keeps: only a pool may keep them.
    _database["CONN_MAX_AGE"] = 0 if DATABASE_POOL_MAX else _max_age
    _database["CONN_HEALTH_CHECKS"] = True
elif "mysql" in _database["ENGINE"]:
    _options |= {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "init_command": f"SET SESSION innodb_lock_wait_timeout={max(1, _lock_ms // 1000)}, "
        "SESSION sql_mode='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', SESSION time_zone='+00:00', "
        "SESSION group_concat_max_len=1000000",  # MySQL would cut a list of ids at 1024 characters
    }
    _options.setdefault("connect_timeout", 5)
    _database["CONN_MAX_AGE"] = _max_age
    _database["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: carries hints between processes and Celery's work. Without it, one process follows the stream itself --
REDIS_URL = env.str("REDIS_URL", "")
# Redis counts as away if it has not answered by then
REDIS_TIMEOUT = env.number("REDIS_TIMEOUT", 0.25, 0.01, 10, "seconds")
REDIS_PREFIX = env.str("REDIS_PREFIX", "tandem")  # of all its keys: installations that share a server differ in it
CHANNEL_LAYERS: dict[str, Any] = {}  # messaging_app/live.py has one for the process; a socket needs none
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", REDIS_URL or "memory://")
CELERY_TASK_ALWAYS_EAGER = not env.str("CELERY_BROKER_URL", REDIS_URL)  # embedded: run where it was called
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # no limit: a broker may be away for an hour
if CELERY_BROKER_URL.startswith("redis"):
    # A broker that hangs is noticed and reconnected. Longer than the second for which workers wait for work.
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "socket_timeout": 5.0,
        "socket_connect_timeout": 2.0,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "global_keyprefix": f"{REDIS_PREFIX}:",
    }

# --- The API -----------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["agents_app.api.authentication.Bearer", "agents_app.api.authentication.Login"],
    "DEFAULT_PERMISSION_CLASSES": ["agents_app.api.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["config.json_answers.JsonAnswer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "config.pages.Pages",
    "DEFAULT_SCHEMA_CLASS": "config.openapi.Described",
    "DEFAULT_THROTTLE_CLASSES": ["agents_app.api.throttles.PerCaller"],
    "DEFAULT_THROTTLE_RATES": {
        "caller": env.rate("API_RATE", "6000/min"),
        "anonymous": env.rate("ANONYMOUS_RATE", "60/min"),
    },
    "EXCEPTION_HANDLER": "config.api.problem",
    # How many proxies in front of us add to X-Forwarded-For; anybody may have written the entries before theirs.
    "NUM_PROXIES": env.whole("PROXIES", 1 if env.bool("HTTPS", False) else 0, 0, 10, "proxies"),
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
MAX_BODY_BYTES = env.whole("MAX_BODY_BYTES", 1_000_000, 100_000, 100_000_000, "bytes")  # of a request in JSON
BATCH_MAX_BYTES = env.whole("BATCH_MAX_BYTES", 50_000_000, 100_000, 2_000_000_000, "bytes")  # of a batch of messages
FORM_MAX_BYTES = env.whole("FORM_MAX_BYTES", 64_000, 10_000, 10_000_000, "bytes")  # of a page's form, without a login
# How slowly a request may come: its headers, then its body, which has as long again, a least rate, and a last moment.
REQUEST_HEADER_TIMEOUT = env.number("REQUEST_HEADER_TIMEOUT", 20, 0.1, 5 * MINUTE, "seconds")
REQUEST_MIN_RATE = env.whole("REQUEST_MIN_RATE", 1_000, 1, 10_000_000, "bytes a second")
REQUEST_BODY_TIMEOUT = env.number("REQUEST_BODY_TIMEOUT", 600, 0.1, DAY, "seconds")
METRICS_TOKEN = env.str("METRICS_TOKEN", "")  # without it, only this machine may read the metrics
TOKEN_LIFETIME = env.whole("TOKEN_LIFETIME", DAY, MINUTE, 90 * DAY, "seconds")  # of a customer's or participant's token
SPECTACULAR_SETTINGS = openapi_settings.SPECTACULAR_SETTINGS

# --- Events (docs/events.md) -------------------------------------------------------------------------------------
EVENT_RETENTION = env.whole("EVENT_RETENTION", 7 * DAY, HOUR, 10 * YEAR, "seconds")  # an older cursor gets a reset
EVENT_HEARTBEAT = env.number("EVENT_HEARTBEAT", 15, 0.1, 5 * MINUTE, "seconds")  # a quiet stream says that it is there
EVENT_PATIENCE = env.number("EVENT_PATIENCE", 20, 0.1, 10 * MINUTE, "seconds")  # a client that does not read is closed
# Streams and sockets that one key, token, agent or visitor may have open at once, in each process
STREAMS_PER_CREDENTIAL = env.whole("STREAMS_PER_CREDENTIAL", 20, 1, 10_000, "streams")

# --- Webhooks ----------------------------------------------------------------------------------------------------
# For development only: also send to this machine itself, and by plain http.
WEBHOOK_ALLOW_LOOPBACK = env.bool("WEBHOOK_ALLOW_LOOPBACK", False)

# --- People ------------------------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTHENTICATION_BACKENDS = ["agents_app.backends.NotLocked", "agents_app.backends.WithAgent"]
# Wrong passwords lock the account and the address (agents_app/logins/lockout.py): after how many, and for how long.
AXES_FAILURE_LIMIT = env.whole("LOGIN_FAILURES", 5, 1, 100, "failures")
AXES_COOLOFF_TIME = timedelta(seconds=env.whole("LOGIN_LOCKED_FOR", 15 * MINUTE, MINUTE, DAY, "seconds"))
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # else anybody could keep an account locked for ever
AXES_HANDLER = "agents_app.logins.lockout.Handler"
AXES_USERNAME_CALLABLE = "agents_app.logins.lockout.username_of"
AXES_CLIENT_IP_CALLABLE = "agents_app.logins.lockout.client_address"
AXES_LOCKOUT_CALLABLE = "agents_app.logins.lockout.response"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False  # a login's page in the admin unlocks it
AXES_VERBOSE = False
LOGIN_RATE = env.rate("LOGIN_RATE", "60/min")  # of forms that take a password or a link, from one address
PAGE_RATE = env.rate("PAGE_RATE", "600/min")  # of pages asked for without a login, from one address
# A login ends after SESSION_IDLE without a request, and in any case after SESSION_ABSOLUTE.
SESSION_IDLE = env.whole("SESSION_IDLE", 12 * HOUR, MINUTE, 90 * DAY, "seconds")
SESSION_ABSOLUTE = env.whole("SESSION_ABSOLUTE", 14 * DAY, MINUTE, YEAR, "seconds")
SESSION_COOKIE_AGE, SESSION_ENGINE = SESSION_ABSOLUTE, "agents_app.logins.sessions"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "desk"
LOGOUT_REDIRECT_URL = "login"
TRY_IT = env.bool("TRY_IT", SECRET_KEY == DEVELOPMENT_KEY)  # plays a customer without a login: for development only
PAGES = env.bool("PAGES", True)  # False for sockets and streams alone: no page and no rule is loaded beforehand

# --- Notices: how invited people are notified; a channel that is not set is off (docs/notices.md) -----------------
PUBLIC_URL = env.str("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")  # as people outside reach us
DEFAULT_FROM_EMAIL = consistency.mail_address(env.str("EMAIL_FROM", "tandem@localhost"))
EMAIL_URL = env.str("EMAIL_URL", "")
# MariaDB has no partial indexes, and others for the same rows. No mail is a choice; whoever invites sees that none was sent.
SILENCED_SYSTEM_CHECKS = ["models.W037", *([] if EMAIL_URL else ["mail.E001"])]
NOTICE_TIMEOUT = env.number("NOTICE_TIMEOUT", 10, 0.1, 2 * MINUTE, "seconds")
MAILERS: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.mail.backends.dummy.EmailBackend"}}
if EMAIL_URL:
    _mail = env.dj_email_url("EMAIL_URL") or {}
    if not _mail.get("EMAIL_BACKEND"):
        env.problems.append("EMAIL_URL has to begin with smtp://, smtp+tls:// or smtps://.")
    MAILERS["default"]["BACKEND"] = _mail.get("EMAIL_BACKEND", "")
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
WECOM_AGENT_ID = env.whole("WECOM_AGENT_ID", 0, 0, 10**12, "as WeCom gives it")

# --- Departments: a class with the interface of agents_app.directory; off without one (docs/people.md) -------------
DIRECTORY = env.str("DIRECTORY", "")

# --- Analyser: a language model that is asked where the rules of need do not escalate; off without an address -------
ANALYSER_URL = env.str("ANALYSER_URL", "").rstrip("/")  # speaks OpenAI's chat completions: https://…/v1
ANALYSER_KEY = env.str("ANALYSER_KEY", "")
ANALYSER_MODEL = env.str("ANALYSER_MODEL", "")
ANALYSER_TIMEOUT = env.number("ANALYSER_TIMEOUT", 5, 0.1, 2 * MINUTE, "seconds")
# For each tenant, in each process
ANALYSER_CALLS_PER_MINUTE = env.whole("ANALYSER_CALLS_PER_MINUTE", 60, 1, 100_000, "calls")
ANALYSER_CHARACTERS = env.whole("ANALYSER_CHARACTERS", 2_000, 50, 100_000, "characters")  # of a message, at most

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
# Files kept for a while, such as batches that are not stored yet. All processes need them; they are served to nobody.
MEDIA_ROOT = env.path("FILES", BASE_DIR / "data" / "files")
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    # What people attach to messages (docs/attachments.md): in a folder of the above, or in a store that speaks S3.
    "attachments": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": env.path("ATTACHMENT_FILES", MEDIA_ROOT / "media"),
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}
ATTACHMENT_MAX_BYTES = env.whole("ATTACHMENT_MAX_BYTES", 10 * 1024 * 1024, 1_000, 2_000_000_000, "bytes")
# Of a picture; each takes up to four bytes of memory while it is decoded
ATTACHMENT_MAX_PIXELS = env.whole("ATTACHMENT_MAX_PIXELS", 40_000_000, 10_000, 1_000_000_000, "pixels")
# All files together, sent or not: of a conversation, and of a tenant
ATTACHMENT_CONVERSATION_FILES = env.whole("ATTACHMENT_CONVERSATION_FILES", 2_000, 1, 1_000_000, "files")
ATTACHMENT_CONVERSATION_BYTES = env.whole("ATTACHMENT_CONVERSATION_BYTES", 2 * 10**9, 10**6, 10**13, "bytes")
ATTACHMENT_TENANT_BYTES = env.whole("ATTACHMENT_TENANT_BYTES", 10**11, 10**6, 10**16, "bytes")
ATTACHMENT_TYPES = [name.strip() for name in env.list("ATTACHMENT_TYPES", attachment_types.USUAL)]
ATTACHMENT_S3_BUCKET = env.str("ATTACHMENT_S3_BUCKET", "")
_addressing = env.one_of("ATTACHMENT_S3_ADDRESSING", "auto", ("auto", "path", "virtual"))  # as botocore knows them
if ATTACHMENT_S3_BUCKET and not find_spec("storages"):
    env.problems.append("ATTACHMENT_S3_BUCKET needs django-storages: install it with `make env-s3`.")
elif ATTACHMENT_S3_BUCKET:
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
                s3={"addressing_style": _addressing},
                connect_timeout=5,
                read_timeout=20,
                retries={"max_attempts": 2, "mode": "standard"},
            ),
            "querystring_auth": True,
            "default_acl": None,  # private, as the bucket is
            "file_overwrite": True,  # names are random, so none is taken
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
_hsts = env.whole("SECURE_HSTS_SECONDS", 365 * DAY, 0, 2 * YEAR, "seconds")
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = _hsts
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()
LOGGING = logs.logging_of(LOG_LEVEL)

UNFOLD = admin_theme.UNFOLD

FIGURES = env.figures
env.refuse_if_wrong()
env.refuse_if_wrong(consistency.errors(globals()))
