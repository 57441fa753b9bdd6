"""The shortest program of each client that reads one object, as its documentation would write it.

Each is run as `python -c`, so nothing of the harness is imported. It prints the number of bytes that it has read;
rclone's command makes a file.
"""

from __future__ import annotations

import os
import sys

from benchmarks.harness.rclone import rclone_path
from benchmarks.harness.task import ACCESS_KEY, REGION, SECRET_KEY, Task

_PROGRAMS = {
    "bucketry": """
import asyncio
from bucketry import S3Provider

async def main():
    provider = S3Provider(
        {{
            "bucket_name": {bucket!r}, "endpoint_url": {endpoint!r}, "region": {region!r},
            "access_key_id": {access!r}, "secret_access_key": {secret!r}, "ca_bundle": {ca_bundle!r} or None,
        }}
    )
    print(len(await provider.get({key!r})))
    await provider.disconnect()

asyncio.run(main())
""",
    "obstore": """
import asyncio
from obstore.store import S3Store

async def main():
    store = S3Store(
        {bucket!r}, endpoint={endpoint!r}, region={region!r}, access_key_id={access!r}, secret_access_key={secret!r},
        virtual_hosted_style_request=False, client_options={options},
    )
    answer = await store.get_async({key!r})
    print(len(await answer.bytes_async()), flush=True)

asyncio.run(main())
""",
    "obstore_sync": """
from obstore.store import S3Store

store = S3Store(
    {bucket!r}, endpoint={endpoint!r}, region={region!r}, access_key_id={access!r}, secret_access_key={secret!r},
    virtual_hosted_style_request=False, client_options={options},
)
print(len(store.get({key!r}).bytes()), flush=True)
""",
    "boto3": """
import boto3
from botocore.config import Config

client = boto3.client(
    "s3", endpoint_url={endpoint!r}, region_name={region!r}, aws_access_key_id={access!r},
    aws_secret_access_key={secret!r}, verify={ca_bundle!r} or None, config=Config(s3={{"addressing_style": "path"}}),
)
print(len(client.get_object(Bucket={bucket!r}, Key={key!r})["Body"].read()))
""",
    "s3fs": """
from s3fs import S3FileSystem

fs = S3FileSystem(
    key={access!r}, secret={secret!r}, endpoint_url={endpoint!r},
    client_kwargs={{"region_name": {region!r}, "verify": {ca_bundle!r} or None}},
    config_kwargs={{"s3": {{"addressing_style": "path"}}}},
)
print(len(fs.cat_file({bucket!r} + "/" + {key!r})))
""",
}
_CLEAR_OPTIONS = '{"allow_http": True}'
_TLS_OPTIONS = '{"root_certificate": open(%r).read()}'
MAY_ABORT = {"obstore", "obstore_sync"}
"""Clients that sometimes abort at the exit of the interpreter, after all work is done."""


def command(client: str, task: Task) -> tuple[list[str], dict[str, str]]:
    """Give the command that reads the task's object, and variables for its environment."""
    if client == "rclone":
        remote = f":s3:{task.bucket}/{task.key}"  # `cat` would list the bucket first
        return [rclone_path(), "copyto", remote, task.path], {
            "RCLONE_CONFIG": os.devnull,
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_ENDPOINT": task.endpoint,
            "RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY,
            "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_KEY,
            "RCLONE_S3_REGION": REGION,
            "RCLONE_CA_CERT": task.ca_bundle,
        }
    program = _PROGRAMS[client].format(
        bucket=task.bucket,
        key=task.key,
        endpoint=task.endpoint,
        region=REGION,
        access=ACCESS_KEY,
        secret=SECRET_KEY,
        ca_bundle=task.ca_bundle,
        options=_TLS_OPTIONS % task.ca_bundle if task.ca_bundle else _CLEAR_OPTIONS,
    )
    return [sys.executable, "-c", program], {}
