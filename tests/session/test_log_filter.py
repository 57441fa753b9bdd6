"""The filter for botocore's log removes the values of secret names and nothing else."""

from __future__ import annotations

import pytest

from bucketry._session.log_filter import redacted

SECRET = "canary/secret+key=="
TEXTS = {
    "dict of bytes": "<AWSPreparedRequest headers={'Authorization': b'AWS4 Signature=%s', 'Host': b'h'}>",
    "token header": "{'X-Amz-Security-Token': '%s', 'Host': 'h'}",
    "plain header": "Authorization: Bearer %s\nHost: h",
    "metadata token": "x-aws-ec2-metadata-token: %s\nHost: h",
    "url": "GET http://h/k?X-Amz-Signature=%s&X-Amz-Date=h",
    "url token": "GET http://h/k?X-Amz-Security-Token=%s&X-Amz-Date=h",
    "json": '{"accessToken": "%s", "expiresIn": "h"}',
    "json of a role": '{"Code" : "Success", "SecretAccessKey" : "%s", "Expiration" : "h"}',
    "json of an instance": '{"Token" : "%s", "Expiration" : "h"}',
    "python": "{'clientSecret': '%s', 'clientId': 'h'}",
    "xml": "<Credentials><SessionToken>%s</SessionToken><Host>h</Host></Credentials>",
    "xml of a key": "<Credentials><SecretAccessKey>%s</SecretAccessKey><Host>h</Host></Credentials>",
    "web identity": "{'WebIdentityToken': '%s', 'RoleArn': 'h'}",
    "snake": "aws_secret_access_key='%s', region='h'",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_values_of_secret_names(text: str) -> None:
    """A secret is hidden in every notation, and the text beside it stays."""
    said = redacted(text % SECRET)
    assert "canary" not in said
    assert "***" in said
    assert "h" in said[-40:]


@pytest.mark.parametrize(
    "text",
    [
        "Sending http request: <AWSPreparedRequest method=GET, url=http://h/k?list-type=2>",
        "Event before-sign.s3.GetObject: calling handler <function set_operation_specific_signer at 0x7f>",
        "Found credentials in environment variables.",
        "Calculating signature using v4 auth.",
    ],
)
def test_nothing_else(text: str) -> None:
    """Text without a secret is not changed."""
    assert redacted(text) == text
