#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    """Run a command. A database that cannot be used is reported in one sentence, without a traceback."""
    from django.db import Error

    try:
        execute_from_command_line(sys.argv)
    except Error as error:
        from config.faults import answer_of

        if answer_of(error) is None:
            raise
        from django.conf import settings

        database = settings.DATABASES["default"]
        place = f"{database['HOST']}:{database['PORT']}" if database.get("HOST") else database["NAME"]
        reason = " ".join(str(error).split())
        sys.exit(
            f"CommandError: the database at {place} cannot be used ({reason}). Is DATABASE_URL right, and does it run?"
        )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    main()
