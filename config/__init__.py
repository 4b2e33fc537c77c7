"""Project settings, URL map, ASGI and Celery entry points, and the modules below every app: errors, clock, db."""

import pymysql

# PyMySQL connects to MariaDB and MySQL: it is pure Python, so that no user needs a compiler. Django checks by this
# number that mysqlclient is 2.2.1 or newer; PyMySQL behaves as that version does.
pymysql.version_info = (2, 2, 1, "final", 0)
pymysql.install_as_MySQLdb()

from config.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
