"""Files in a store that speaks S3: a real server on this machine, spoken to over HTTP as any other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from messaging_app.attachments import files, rows
from sessions_app.actions import attachments
from tests.api.world import bearer
from tests.cast import Cast, Chat
from tests.patience import PATIENCE
from tests.standins import closed_port
from tests.uploads import PDF, body_of, picture, upload

pytestmark = [
    # Inside the S3 client and moto, which are not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROOT = Path(__file__).resolve().parents[2]
BUCKET = "tandem-files"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def client(server: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=server, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )


def environment(server: str) -> dict[str, str]:
    return {
        "ATTACHMENT_S3_BUCKET": BUCKET,
        "ATTACHMENT_S3_PREFIX": "shop",
        "ATTACHMENT_S3_ENDPOINT": server,
        "ATTACHMENT_S3_REGION": "us-east-1",
        "ATTACHMENT_S3_ACCESS_KEY": "key",
        "ATTACHMENT_S3_SECRET_KEY": "secret",
        "ATTACHMENT_S3_ADDRESSING": "path",
    }


@pytest.fixture
def bucket(server: str, settings: Any, folder: Path) -> Any:
    """The settings are those that the environment makes, read by a process of its own."""
    code = (
        "import json, config.settings as s;"
        "print(json.dumps(s.STORAGES['attachments'], default=lambda o: o._user_provided_options))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment(server),
        check=True,
        capture_output=True,
        text=True,
    )
    made = json.loads(told.stdout)
    made["OPTIONS"]["client_config"] = Config(**made["OPTIONS"]["client_config"])
    settings.STORAGES = settings.STORAGES | {"attachments": made}
    settings.ATTACHMENT_S3_BUCKET = BUCKET
    s3 = client(server)
    s3.create_bucket(Bucket=BUCKET)
    yield s3
    for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=one["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def kept(bucket: Any) -> list[str]:
    return [one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_a_file_and_its_preview_lie_in_the_bucket_under_a_random_name(cast: Cast, chat: Chat, bucket: Any) -> None:
    row = upload(chat.customer, chat.id, name="secret plan.png")
    assert kept(bucket) == [f"shop/{row.storage_key}", f"shop/{row.storage_key}.preview"]
    assert bucket.get_object(Bucket=BUCKET, Key=f"shop/{row.storage_key}")["Body"].read() == picture()


def test_a_download_is_led_to_an_address_of_the_store_for_a_minute(cast: Cast, chat: Chat, bucket: Any) -> None:
    row = upload(chat.customer, chat.id, PDF, "发票.pdf")
    answer = bearer(chat.customer).get(f"attachments/{row.pk}/content")
    assert (answer.status_code, answer["Cache-Control"]) == (302, "private, no-store")
    assert "X-Amz-Expires=60" in answer["Location"]
    fetched = httpx.get(answer["Location"], timeout=PATIENCE)
    assert fetched.content == PDF
    assert fetched.headers["Content-Type"] == "application/pdf"
    assert fetched.headers["Content-Disposition"] == "attachment; filename*=utf-8''%E5%8F%91%E7%A5%A8.pdf"
    stranger = bearer(cast.chat().customer).get(f"attachments/{row.pk}/content")
    assert stranger.status_code == 404


def test_a_preview_comes_from_here_because_pages_show_their_own_pictures_only(
    cast: Cast, chat: Chat, bucket: Any
) -> None:
    row = upload(chat.customer, chat.id)
    answer = bearer(chat.customer).get(f"attachments/{row.pk}/preview")
    assert answer.status_code == 200
    assert body_of(answer).startswith(b"RIFF")


def test_what_goes_goes_from_the_bucket_too(
    cast: Cast, chat: Chat, bucket: Any, django_capture_on_commit_callbacks: Any
) -> None:
    row, other = upload(chat.customer, chat.id), upload(chat.customer, chat.id)
    with django_capture_on_commit_callbacks(execute=True):
        attachments.discard(actor=chat.customer, attachment_id=row.pk)
    assert kept(bucket) == [f"shop/{other.storage_key}", f"shop/{other.storage_key}.preview"]
    with django_capture_on_commit_callbacks(execute=True):
        rows.erase(tenant_id=cast.tenant.pk, conversations=[chat.id])
    assert kept(bucket) == []


def test_files_that_no_row_names_are_found_in_the_bucket(cast: Cast, chat: Chat, bucket: Any) -> None:
    upload(chat.customer, chat.id)
    bucket.put_object(Bucket=BUCKET, Key=f"shop/{cast.tenant.pk}/lost", Body=b"x")
    assert list(files.orphans(timedelta(0))) == [f"{cast.tenant.pk}/lost"]


def test_a_store_that_is_not_there_is_said(cast: Cast, chat: Chat, settings: Any, bucket: Any) -> None:
    options = settings.STORAGES["attachments"]["OPTIONS"] | {
        "endpoint_url": f"http://127.0.0.1:{closed_port()}",
        "client_config": Config(connect_timeout=1, retries={"max_attempts": 0}),
    }
    settings.STORAGES = settings.STORAGES | {
        "attachments": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    }
    with pytest.raises(Exception, match="does not answer"):
        upload(chat.customer, chat.id)
