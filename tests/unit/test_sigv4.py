"""Signatures, compared with botocore's signers and with AWS's published examples.

The tested signers are shared by the whole module, so that their caches are tested, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import product
from urllib.parse import urlsplit

import botocore.auth
import botocore.session
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.utils import percent_encode
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bucketry._wire.sigv4 import EMPTY_SHA256, UNSIGNED_PAYLOAD, Credentials, Signer, encode_path, encode_query
from tests.amounts import examples

MANY = settings(max_examples=examples(400, nightly=40_000))

SIGNERS = {region: Signer(region) for region in ("us-east-1", "eu-central-003", "auto")}

PEOPLE = [
    Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjE/+Pz=="),
    Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "another token, of the same key"),
    Credentials("AKIDEXAMPLE", "another secret of the same key, käy"),
    Credentials("another+key/äid", "another+secret"),
]

HOSTILE = ["a/../b", "a//b", "/", "//a/", ".", "..", "ä+ %2F?#", " ", "+", "~", "*", "'()", "&=;:@", "%", "\n\0\x7f"]

TRICKY_VALUES = ["", '"b  c"', " a ", "\ta\t \tb", "a,  b", "=", "grüß  dich", "a\u00a0b", "a\x1cb", "bytes=0-4095"]
SECONDS = [0, 0.5, 1, 86_399, 86_399.999, 86_400, 1_369_353_600, 1_735_689_599.9, 2**31, 2**32]

HASHING = {on: Config(s3={"payload_signing_enabled": on}) for on in (False, True)}

# Drawn together, because each draw of Hypothesis is slow.
SIGNING = [*product(SIGNERS, [*PEOPLE, replace(PEOPLE[0])])]
PLACES = [*product(["bucket.s3.amazonaws.com", "localhost:9000", "[::1]:80"], ["/", "/bucket/", "/my.bucket-1/"])]

keys = st.lists(st.sampled_from([*HOSTILE, "a", "B7-_.~", "\U0001f40d", "e\u0301é"]), max_size=4).map(
    "".join
) | st.text(max_size=12)
words = st.text(max_size=8) | st.sampled_from(HOSTILE)
printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=12)
moments = st.sampled_from(SECONDS) | st.integers(0, 2**32)


def headers_of(*names: str) -> st.SearchStrategy[dict[str, str]]:
    """Give some of these headers and some metadata headers, with names that are hard to sort."""
    metadata = [f"x-amz-meta-{name}" for name in ("a", "a-b", "ab", "a_b", "a.b", "a0", "0", "-")]
    pairs = st.tuples(st.sampled_from([*names, *metadata]), st.sampled_from(TRICKY_VALUES) | printable)
    return st.lists(pairs, max_size=3).map(dict)


@dataclass(frozen=True)
class Case:
    """One request before encoding."""

    region: str
    person: Credentials
    moment: float
    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    hash_body: bool

    @property
    def path_sent(self) -> str:
        """The path as botocore encodes keys."""
        return str(percent_encode(self.path, safe="/~"))

    @property
    def headers_sent(self) -> dict[str, str]:
        """All headers before signing."""
        return {"host": self.host, **self.headers}

    @property
    def payload_hash(self) -> str:
        """The hash of the body, or `UNSIGNED-PAYLOAD`."""
        return sha256(self.body).hexdigest() if self.hash_body else UNSIGNED_PAYLOAD

    def sign(self, judge: type[S3SigV4Auth | S3SigV4QueryAuth], **options: int) -> AWSRequest:
        """Let botocore sign the request."""
        request = AWSRequest(
            self.method, f"https://{self.host}{self.path_sent}", self.headers_sent, self.body, dict(self.query)
        )
        request.context = {"client_config": HASHING[self.hash_body]}
        person = ReadOnlyCredentials(self.person.access_key, self.person.secret_key, self.person.token)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(int(self.moment), UTC))
            judge(person, "s3", self.region, **options).add_auth(request)
        return request

    def assert_headers(self) -> None:
        """Compare the signed headers with botocore's: the same names and values."""
        ours = SIGNERS[self.region].headers(
            self.person,
            self.moment,
            self.method,
            encode_path(self.path),
            encode_query(self.query),
            self.headers_sent,
            self.payload_hash,
        )
        assert ours == {name.lower(): value for name, value in self.sign(S3SigV4Auth).headers.items()}

    def assert_presigned(self, expires: int) -> None:
        """Compare the query string of a presigned URL with botocore's, which is not sorted."""
        ours = SIGNERS[self.region].query(
            self.person,
            self.moment,
            self.method,
            encode_path(self.path),
            encode_query(self.query),
            self.headers_sent,
            expires,
        )
        theirs = urlsplit(self.sign(S3SigV4QueryAuth, expires=expires).url).query
        assert sorted(ours.split("&")) == sorted(theirs.split("&"))


NOTHING: st.SearchStrategy[dict[str, str]] = st.just({})
NO_BODY = st.just(b"")


def cases(
    *methods: str,
    query: st.SearchStrategy[dict[str, str]] = NOTHING,
    headers: tuple[str, ...] = ("x-amz-request-payer",),
    bodies: st.SearchStrategy[bytes] = NO_BODY,
) -> st.SearchStrategy[Case]:
    """Give requests of one kind."""
    return st.builds(
        lambda signing, moment, method, place, key, query, headers, body, hash_body: Case(
            *signing, moment, method, place[0], place[1] + key, query, headers, body, hash_body
        ),
        st.sampled_from(SIGNING),
        moments,
        st.sampled_from(methods),
        st.sampled_from(PLACES),
        keys,
        query,
        headers_of(*headers),
        bodies,
        st.booleans(),
    )


def some_of(**names: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Give some of these query parameters."""
    return st.fixed_dictionaries({}, optional={name.replace("_", "-"): value for name, value in names.items()})


PLAIN = Case("auto", PEOPLE[0], 0, "GET", "localhost", "/b/k", {}, {}, b"", hash_body=True)
KEEP = ("if-match", "if-none-match", "if-modified-since", "x-amz-expected-bucket-owner")
STORE = (
    "content-type",
    "content-md5",
    "cache-control",
    "x-amz-checksum-crc32c",
    "x-amz-storage-class",
    "if-none-match",
)


@pytest.mark.slow
class TestHeaders:
    """Signed headers are equal to those of botocore's S3 signer."""

    @MANY
    @given(cases("GET", headers=("range", *KEEP), query=some_of(versionId=words)))
    @example(replace(PLAIN, path="/b/a/../b"))
    @example(replace(PLAIN, path="/b/a//b"))
    @example(replace(PLAIN, path="/b/ä+ %2F?#"))
    @example(replace(PLAIN, path="/b/~*'()"))
    def test_a_get_is_signed_as_by_botocore(self, case: Case) -> None:
        """GetObject, whole and in ranges, of any key."""
        case.assert_headers()

    @MANY
    @given(cases("HEAD", headers=KEEP, query=some_of(versionId=words, partNumber=st.just("1"))))
    def test_a_head_is_signed_as_by_botocore(self, case: Case) -> None:
        """HeadObject of any key."""
        case.assert_headers()

    @MANY
    @given(cases("PUT", headers=STORE, bodies=st.binary(max_size=20)))
    def test_a_put_is_signed_as_by_botocore(self, case: Case) -> None:
        """PutObject with any metadata, its body hashed or not."""
        case.assert_headers()

    @MANY
    @given(cases("DELETE", headers=("x-amz-mfa", *KEEP), query=some_of(versionId=words)))
    def test_a_delete_is_signed_as_by_botocore(self, case: Case) -> None:
        """DeleteObject of any key."""
        case.assert_headers()

    @MANY
    @given(
        cases(
            "GET",
            query=some_of(list_type=st.just("2"), prefix=keys, delimiter=words, start_after=keys)
            | st.dictionaries(words, words, max_size=4),
        )
    )
    def test_a_listing_is_signed_as_by_botocore(self, case: Case) -> None:
        """ListObjectsV2 with any prefix, and any parameters at all."""
        case.assert_headers()

    @MANY
    @given(
        cases(
            "PUT",
            headers=STORE,
            query=st.builds(
                lambda part, upload: {"partNumber": str(part), "uploadId": upload}, st.integers(1, 10_000), words
            ),
            bodies=st.binary(max_size=20),
        )
    )
    def test_a_part_is_signed_as_by_botocore(self, case: Case) -> None:
        """UploadPart with any upload id."""
        case.assert_headers()


class TestPresigned:
    """Presigned URLs are equal to those of botocore's S3 signer."""

    @pytest.mark.slow
    @MANY
    @given(
        cases(
            "GET",
            "PUT",
            "HEAD",
            "DELETE",
            headers=STORE,
            query=some_of(versionId=words, response_content_disposition=words)
            | st.dictionaries(words, words, max_size=3),
        ),
        st.integers(1, 604_800),
    )
    def test_a_url_is_signed_as_by_botocore(self, case: Case, expires: int) -> None:
        """Any key, parameters, signed headers and life time."""
        case.assert_presigned(expires)

    @given(cases("GET", query=st.dictionaries(words, words, max_size=3)))
    def test_a_url_asks_in_canonical_order(self, case: Case) -> None:
        """All parameters except the signature are sorted by name."""
        signer, path, query = SIGNERS[case.region], encode_path(case.path), encode_query(case.query)
        whole = signer.query(case.person, case.moment, "GET", path, query, case.headers_sent, 60)
        *rest, last = [pair.split("=") for pair in whole.split("&")]
        assert last[0] == "X-Amz-Signature"
        assert rest == sorted(rest)


class TestEncoding:
    """Paths and query strings."""

    @given(keys)
    def test_every_byte_but_unreserved_ones_is_escaped(self, key: str) -> None:
        """A path keeps letters, digits, `-._~` and `/`; everything else becomes %XX, and dots are not resolved."""
        plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"
        assert encode_path(f"/{key}") == "/" + "".join(
            chr(byte) if byte in plain else f"%{byte:02X}" for byte in key.encode()
        )

    def test_a_query_is_sorted_by_encoded_name(self) -> None:
        """Names are compared without their `=`, encoded; slashes are escaped, and an empty value keeps its `=`."""
        pairs = {"ab": "1", "a-b": "", "a": "/ +", "é": "2", "Z": "~", "a b": "3"}
        assert encode_query(pairs) == "%C3%A9=2&Z=~&a=%2F%20%2B&a%20b=3&a-b=&ab=1"

    def test_no_parameters_make_no_query(self) -> None:
        """An empty mapping is an empty string."""
        assert encode_query({}) == ""


AWS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
MAY_24 = 1_369_353_600.0
HOST = {"host": "examplebucket.s3.amazonaws.com"}
WELCOME = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"


class TestPublishedExamples:
    """The examples of AWS's own documentation.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    """

    @pytest.mark.parametrize(
        ("method", "path", "query", "headers", "payload_hash", "signed", "signature"),
        [
            pytest.param(
                "GET",
                "/test.txt",
                {},
                {"range": "bytes=0-9"},
                EMPTY_SHA256,
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                id="GET object with a range",
            ),
            pytest.param(
                "PUT",
                "/test$file.text",
                {},
                {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
                WELCOME,
                "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
                id="PUT object",
            ),
            pytest.param(
                "GET",
                "/",
                {"lifecycle": ""},
                {},
                EMPTY_SHA256,
                "host;x-amz-content-sha256;x-amz-date",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
                id="GET bucket lifecycle",
            ),
            pytest.param(
                "GET",
                "/",
                {"prefix": "J", "max-keys": "2"},
                {},
                EMPTY_SHA256,
                "host;x-amz-content-sha256;x-amz-date",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
                id="list objects",
            ),
        ],
    )
    def test_headers(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        headers: dict[str, str],
        payload_hash: str,
        signed: str,
        signature: str,
    ) -> None:
        """The authorization header is the published one."""
        sent = SIGNERS["us-east-1"].headers(
            AWS, MAY_24, method, encode_path(path), encode_query(query), {**headers, **HOST}, payload_hash
        )
        assert sent["authorization"] == (
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            f"SignedHeaders={signed}, Signature={signature}"
        )

    def test_url(self) -> None:
        """The presigned URL is the published one."""
        assert SIGNERS["us-east-1"].query(AWS, MAY_24, "GET", "/test.txt", "", HOST, 86_400) == (
            "X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        )


class Sent(Exception):  # noqa: N818 - not an error: what would have been sent
    """Takes a request out of botocore."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


@pytest.fixture(scope="module")
def client() -> Iterator[BaseClient]:
    """A complete botocore client that raises each request instead of sending it."""

    def catch(request: AWSPreparedRequest, **_: object) -> None:
        raise Sent(request)

    made = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url="https://s3.example",
        aws_access_key_id=AWS.access_key,
        aws_secret_access_key=AWS.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    made.meta.events.register("before-send.s3", catch)
    yield made
    made.close()


@pytest.mark.slow
class TestWholeClient:
    """Requests are equal to those of a complete botocore client, in encoding as well as signature."""

    @pytest.mark.parametrize("key", [key for key in HOSTILE if key not in {".", ".."}])
    @pytest.mark.parametrize(
        ("verb", "query", "arguments"),
        [
            ("get_object", {}, {"Range": "bytes=5-11", "IfMatch": '"a  b"'}),
            ("head_object", {"versionId": "ä+/ "}, {"VersionId": "ä+/ "}),
            ("put_object", {}, {"Body": b"abc", "Metadata": {"a": "b   c"}}),
            (
                "upload_part",
                {"partNumber": "7", "uploadId": "a/+="},
                {"PartNumber": 7, "UploadId": "a/+=", "Body": b"a"},
            ),
            ("delete_object", {}, {}),
        ],
    )
    def test_a_request_is_the_same(
        self, client: BaseClient, key: str, verb: str, query: dict[str, str], arguments: dict[str, object]
    ) -> None:
        """For each hostile key, path, query and authorization are the same as botocore's."""
        with pytest.raises(Sent) as caught:
            getattr(client, verb)(Bucket="bucket", Key=key, **arguments)
        request = caught.value.request
        url = urlsplit(request.url)
        theirs = {"host": url.netloc}
        theirs |= {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        signed = theirs["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        ours = SIGNERS["us-east-1"].headers(
            AWS,
            datetime.strptime(theirs["x-amz-date"], "%Y%m%dT%H%M%S%z").timestamp(),
            request.method,
            encode_path(f"/bucket/{key}"),
            encode_query(query),
            {name: theirs[name] for name in signed},
            theirs["x-amz-content-sha256"],
        )
        assert ours["authorization"] == theirs["authorization"]
        assert encode_path(f"/bucket/{key}") == url.path
        assert sorted(filter(None, url.query.split("&"))) == sorted(filter(None, encode_query(query).split("&")))


class TestWhatIsKept:
    """The state that a signer keeps."""

    def test_what_was_given_is_not_changed(self) -> None:
        """The given mapping of headers is not changed; the result is a new one."""
        given_headers = dict(HOST)
        sent = SIGNERS["auto"].headers(AWS, MAY_24, "GET", "/", "", given_headers, EMPTY_SHA256)
        assert given_headers == HOST
        assert sent["host"] == HOST["host"]

    def test_secrets_show_nowhere(self) -> None:
        """Neither credentials nor a signer that used them show the secret or the token."""
        person = Credentials("AKID", "top secret", "the token")
        signer = Signer("auto")
        signer.headers(person, MAY_24, "GET", "/", "", HOST, EMPTY_SHA256)
        shown = repr([person, signer, vars(signer)])
        assert "AKID" in shown
        assert "top secret" not in shown
        assert "the token" not in shown
