"""Django's settings, all of them; every value a deployment may change is read from the environment.

Production needs ``ASSAY_SECRET_KEY``, ``ASSAY_HOSTS``, ``ASSAY_HTTPS=1``, ``DATABASE_URL`` and
``REDIS_URL``. With none of these set, everything runs on this machine alone.
"""

from __future__ import annotations

from typing import Any

import dj_database_url

from config import database, env, logs, roles, secret
from config.celery_settings import TICK_SECONDS, beat_schedule, broker_url
from config.processes.embedded import place

PROJECT = place.PROJECT
STATE = place.state_folder()
_EMBEDDED = place.find(STATE)

# ---------------------------------------------------------------- who may reach us, and how
DEBUG = env.flag("ASSAY_DEBUG", False)
DEMO = env.flag("ASSAY_DEMO", False)
"""Demo users and the switch between them; never on in production."""
HTTPS = env.flag("ASSAY_HTTPS", False)
SECRET_KEY = secret.of(env.text("ASSAY_SECRET_KEY", ""), STATE)
ALLOWED_HOSTS = env.words("ASSAY_HOSTS", ("127.0.0.1", "localhost", "[::1]"))
CSRF_TRUSTED_ORIGINS = env.words("ASSAY_TRUSTED_ORIGINS", ())
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
TRUSTED_PROXIES = env.networks("ASSAY_TRUSTED_PROXIES")
"""Proxies whose ``X-Forwarded-For`` says who asks; from everybody else that header counts for
nothing.
"""
CLIENT_ROWS_PER_UNIT = env.integer("ASSAY_CLIENT_ROWS_PER_UNIT", 1_000)
CLIENT_ROWS_PER_ADDRESS = env.integer("ASSAY_CLIENT_ROWS_PER_ADDRESS", 100_000)
"""Exposures an hour that client keys may have stored: of one unit by one key, and from one address.
More is dropped and counted.
"""
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("ASSAY_BEHIND_PROXY", False) else None
)
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440

# ---------------------------------------------------------------- the house
ROLE = roles.chosen(env.text(roles.VARIABLE, roles.ProcessRole.ALL))
JOB = roles.job(ROLE)
SERVES_ONLY = JOB is roles.Job.SERVE
INSTALLED_APPS = [
    "config",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "pgtrigger",
    "django_structlog",
    "experiments",
    "analytics",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.web.content_policy.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "experiments.http.packing.PackingMiddleware",
    "config.web.page_turns.PageTurns",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.web.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [PROJECT / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django.template.loaders.filesystem.Loader",
                        "config.web.theme_templates.Loader",
                    ],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"assay": "experiments.admin.template_filters"},
        },
    },
]
if SERVES_ONLY:
    INSTALLED_APPS, MIDDLEWARE, ROOT_URLCONF = (
        roles.SERVING_APPS,
        roles.SERVING_MIDDLEWARE,
        roles.SERVING_URLS,
    )
    TEMPLATES = []
elif JOB is roles.Job.WORK:
    INSTALLED_APPS, MIDDLEWARE, ROOT_URLCONF = roles.WORKING_APPS, [], "config.web.no_urls"
    TEMPLATES[0]["OPTIONS"] = {}  # reports need no filters of the admin
elif JOB is roles.Job.SUPERVISE:
    INSTALLED_APPS, MIDDLEWARE, ROOT_URLCONF = roles.SUPERVISING_APPS, [], "config.web.no_urls"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = ["experiments.http.logins.PatientBackend"]
MANAGEMENT_LIMIT = env.integer("ASSAY_MANAGEMENT_LIMIT", 1200)
"""Requests of one management or read key to one process within a minute; doors that decide have no
limit.
"""
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

# ---------------------------------------------------------------- PostgreSQL and Redis
DATABASE_URL = env.text("DATABASE_URL", "") or _EMBEDDED.app_url
DATABASE_OWNER_URL = env.text("DATABASE_OWNER_URL", "") or (
    "" if env.text("DATABASE_URL", "") else _EMBEDDED.database_url
)
"""The same database as the owner of its tables; only commands that change tables need it."""
REDIS_URL = env.text("REDIS_URL", "") or _EMBEDDED.redis_url
DATABASES: dict[str, Any] = {
    "default": database.bounded(
        {**dj_database_url.parse(DATABASE_URL, conn_max_age=0, conn_health_checks=True)}
    )
}
DATABASE_TURNS = env.integer("ASSAY_DB_TURNS", 4)
"""Half of a web process's threads. One fewer requests may store what applications send at the same
time, as many may read or manage, and one may stop in an emergency, so that waiting for PostgreSQL
never takes all threads."""
if _pool := env.integer("ASSAY_DB_POOL", 0):
    # Only the web process has one: as many connections as it has threads for decisions. Its other
    # threads (`config/web/threads.py`) take turns, so that some connections are always free. The
    # pool gives up early and begins anew with the next request: its own retries double their pauses
    # and would sleep through a recovery.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": _pool,
        "timeout": 3,
        "reconnect_timeout": 3,
    }

METRICS_TOKEN = env.text("ASSAY_METRICS_TOKEN", "")
"""What Prometheus sends to read ``/metrics``; without one only this machine may."""

# ---------------------------------------------------------------- where files go
SPOOL = env.folder("ASSAY_SPOOL", STATE / "spool")
SPOOL_MAX_BYTES = env.integer("ASSAY_SPOOL_MAX_BYTES", 2_000_000_000)
"""Some ten million exposures; beyond it new ones are dropped and counted."""
DRAINS_BESIDE = env.flag("ASSAY_DRAIN_BESIDE", False)
"""Whether ``manage.py drain_spool`` runs beside the web processes; otherwise each drains in a
thread of its own.
"""
CATALOGUE_DIR = env.folder("ASSAY_CATALOGUE_DIR", STATE / "catalogue")
POLL_SECONDS = env.integer("ASSAY_POLL_SECONDS", 1)
"""How often a web process asks whether there is something newer to serve."""
STATIC_URL = "static/"
STATIC_ROOT = env.folder("ASSAY_STATIC", STATE / "static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.web.static_files.HashedFiles"},
}
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (
    "map",
    "png",
    "gif",
    "jpg",
    "webp",
    "woff",
    "woff2",
    "gz",
    "br",
    "zip",
)
WHITENOISE_USE_FINDERS = not env.text("ASSAY_STATIC", "")
"""Whoever names the folder has collected the files, gzipped ones too; what is found beside it would
hide those.
"""

# ---------------------------------------------------------------- time and language
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = ["config.formats"]

# ---------------------------------------------------------------- background work
# Database state is the queue; messages are wake-ups that may be lost, so Redis keeps no results and
# no only copy. A task that runs longer than visibility_timeout would run twice: hence the limit
# below it.
CELERY_BROKER_URL = broker_url(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 2,
}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_TIME_LIMIT = 240
CELERY_TASK_SOFT_TIME_LIMIT = 230
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "decide"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 400_000
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_ENABLE_UTC = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = beat_schedule()
ANALYSE_SECONDS = TICK_SECONDS
"""Length of the slots in which experiments are analysed and decisions carried out."""
CELERY_BEAT_SCHEDULER = "config.processes.wake_ups:StaticScheduler"

# ---------------------------------------------------------------- mail
EMAIL_HOST = env.text("ASSAY_EMAIL_HOST", "")
"""Without one, nobody can subscribe a mailbox."""
EMAIL_PORT = env.integer("ASSAY_EMAIL_PORT", 587)
EMAIL_HOST_USER = env.text("ASSAY_EMAIL_USER", "")
EMAIL_HOST_PASSWORD = env.text("ASSAY_EMAIL_PASSWORD", "")
EMAIL_USE_TLS = env.flag("ASSAY_EMAIL_TLS", True)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("ASSAY_EMAIL_FROM", "assay@localhost")

# ---------------------------------------------------------------- doors
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    # Deny by default: a view that forgets to name its keys answers nobody.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "EXCEPTION_HANDLER": "experiments.http.errors.handle",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
if JOB not in (roles.Job.EVERYTHING, roles.Job.ANSWER):
    # Nobody reads the schema there, and its generator brings the admin's and the tests' modules
    # along.
    del REST_FRAMEWORK["DEFAULT_SCHEMA_CLASS"]
SPECTACULAR_SETTINGS = {
    "TITLE": "Assay",
    "DESCRIPTION": "Experiments: which variant a unit gets, what happened, and what was decided.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "config.web.openapi.without_trailing_slash",
        "config.web.openapi.with_refusals",
        "config.web.openapi.with_plain_views",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    # The page's own scripts, and no badge from a validator elsewhere: no page of ours asks another
    # origin for anything.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "/favicon.ico",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
}
_TEAL = (
    "50 96% .02",
    "100 93% .045",
    "200 88% .08",
    "300 81% .11",
    "400 72% .125",
    "500 62% .115",
    "600 52% .1",
    "700 45% .085",
    "800 39% .07",
    "900 34% .058",
    "950 25% .045",
)
UNFOLD = {
    "SITE_TITLE": "Assay",
    "SITE_HEADER": "Assay",
    "SITE_SYMBOL": "science",
    "SITE_URL": None,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": False,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": "experiments.admin.navigation.favicon"}
    ],
    "STYLES": ["experiments.admin.navigation.style"],
    "SCRIPTS": ["experiments.admin.navigation.script"],
    "DASHBOARD_CALLBACK": "experiments.admin.dashboard.overview",
    "GLOBAL_CALLBACK": "experiments.admin.act_as.frame",
    "SIDEBAR": {"navigation": "experiments.admin.navigation.sidebar"},
    "COLORS": {
        "primary": {
            step: f"oklch({light} {chroma} 192)"
            for step, light, chroma in (shade.split() for shade in _TEAL)
        }
    },
}

# ---------------------------------------------------------------- what we log and measure
PROMETHEUS_EXPORT_MIGRATIONS = False
DJANGO_STRUCTLOG_CELERY_ENABLED = JOB in (roles.Job.EVERYTHING, roles.Job.WORK)
LOGGING = logs.django_logging(
    level=env.text("ASSAY_LOG_LEVEL", "INFO"), requests=env.flag("ASSAY_LOG_REQUESTS", False)
)
logs.configure_structlog()
