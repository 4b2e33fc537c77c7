"""Departments from another server: DIRECTORY=examples.http_directory.HttpDirectory, with DIRECTORY_URL and DIRECTORY_TOKEN."""

import os

from agents_app.directory import Found, Person
from config.errors import NotFound
from config.http import Unanswered, ask


class HttpDirectory:
    """Asks `GET {url}/departments?tenant=…&q=…` and `GET {url}/departments/{id}/members?tenant=…`."""

    def search(self, tenant: str, text: str) -> list[Found]:
        found = self._get("/departments", tenant=tenant, q=text)
        return [Found(id=str(one["id"]), name=one["name"]) for one in found]

    def members(self, tenant: str, department_id: str) -> list[Person]:
        # An id is put into an address: only what cannot lead anywhere else.
        if not department_id.isalnum():
            raise NotFound("There is no such department.")
        found = self._get(f"/departments/{department_id}/members", tenant=tenant)
        return [Person(name=one["name"], contact=one["email"]) for one in found]

    def _get(self, path: str, **params: str) -> list[dict]:
        # `ask` bounds time and size, follows no redirect, and refuses to run inside a transaction.
        answer = ask(
            "GET",
            os.environ["DIRECTORY_URL"].rstrip("/") + path,
            timeout=5,
            headers={"Authorization": "Bearer " + os.environ["DIRECTORY_TOKEN"]},
            params=params,
        )
        if answer.status == 404:
            raise NotFound("There is no such department.")
        if not answer.is_success:
            raise Unanswered(f"answered {answer.status}")
        return answer.json()
