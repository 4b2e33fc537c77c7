"""manage.py apikey NAME: a program that may call the API, and the key it calls with."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents_app.credentials.secrets import issue_key
from agents_app.models import ApiClient, Tenant
from agents_app.scopes import Scope


class Command(BaseCommand):
    help = "Make a bot or integrator with an API key, and print the key: this once, it is stored as a digest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the program is called")
        parser.add_argument("--tenant", default="", help="short name of the tenant (needed when there are several)")
        parser.add_argument("--kind", choices=ApiClient.Kind.values, default=ApiClient.Kind.BOT.value)
        parser.add_argument(
            "--scopes",
            default="",
            help=f"by commas, of {', '.join(Scope.values)}; those usual for its kind if left out",
        )
        parser.add_argument(
            "--new-key", action="store_true", help="give a program that is there a new key; the old one ends"
        )

        parser.add_argument(
            "--id", action="store_true", help="print the id of a program that is there (a bot's `bot_id`), and no key"
        )

    def handle(self, *args: Any, name: str, tenant: str, kind: str, scopes: str, **options: Any) -> None:
        names = [scope for scope in scopes.replace(" ", "").split(",") if scope]
        if unknown := sorted(set(names) - set(Scope.values)):
            raise CommandError(f"There is no scope {unknown[0]!r}; there are {', '.join(Scope.values)}.")
        owner = _tenant(tenant)
        client = ApiClient.objects.filter(tenant=owner, name=name).first()
        new_key = options["new_key"]
        if client is None and (new_key or options["id"]):
            raise CommandError(f"There is no program {name!r}.")
        if client is not None and options["id"]:
            self.stdout.write(str(client.pk))
            return
        if client is not None and not new_key:
            raise CommandError(f"There is a program {name!r} already. --new-key gives it a new key; the old one ends.")
        if client is None:
            client = ApiClient.objects.create(tenant=owner, name=name, kind=kind, scopes=names)
        self.stdout.write(issue_key(client))


def _tenant(slug: str) -> Tenant:
    tenants = list((Tenant.objects.filter(slug=slug) if slug else Tenant.objects.all())[:2])
    if len(tenants) == 1:
        return tenants[0]
    if slug:
        raise CommandError(f"There is no tenant {slug!r}.")
    raise CommandError("There are several tenants; name one with --tenant." if tenants else "There is no tenant yet.")
