"""Project settings, URL map, ASGI and Celery entry points, and the three leaves every app may use: errors, clock, db."""

import pymysql

# MariaDB and MySQL are spoken to by PyMySQL: pure Python, so that no user needs a compiler. Django asks for a
# mysqlclient of at least 2.2.1 by this number; the behaviour it stands for is what PyMySQL has.
pymysql.version_info = (2, 2, 1, "final", 0)
pymysql.install_as_MySQLdb()

from config.celery import app as celery_app  # noqa: E402

__all__ = ["celery_app"]
