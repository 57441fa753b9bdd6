"""The limit server: nginx answers like S3, from memory, so that the client is the limit and not the server."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.certificates import make_certificates
from benchmarks.harness.ports import free_port, wait_for

LISTING_BUCKET = "keys"
"""The bucket whose listing consists of fixed pages."""

_MISSING = (
    "the limit server is nginx, which is not installed: `apt-get install nginx-light` on Debian and Ubuntu, "
    "or name another build of it in the environment variable BUCKETRY_BENCH_NGINX"
)
_CONFIGURATION = """
daemon off;
{user}
worker_processes 1;  # the other core is the client's
pid {state}/nginx.pid;
error_log {state}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    log_not_found off;
    default_type binary/octet-stream;
    etag on;
    sendfile on;
    sendfile_max_chunk 2m;
    tcp_nopush on;
    tcp_nodelay on;
    open_file_cache max=10000 inactive=1h;
    open_file_cache_valid 1h;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    large_client_header_buffers 8 32k;
    client_max_body_size 0;
    client_body_buffer_size 16m;  # a part is read into memory, and dropped with it
    client_body_temp_path {state}/body;
    proxy_temp_path {state}/proxy;
    fastcgi_temp_path {state}/fastcgi;
    uwsgi_temp_path {state}/uwsgi;
    scgi_temp_path {state}/scgi;
    ssl_protocols TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {key};

    map "$request_method $args" $verb {{
        default "";
        "~^PUT" put;
        "~^POST (.*&)?uploads(=|&|$)" create;
        "~^POST (.*&)?uploadId=" complete;
        "~^DELETE" delete;
    }}
    map $args $page {{
        default "";
        "~(^|&)continuation-token=(?<token>page[0-9]+)(&|$)" $token;
        "~(^|&)list-type=2(&|$)" page000;
    }}
    map $arg_partNumber $suffix {{
        default "";
        "~^(?<number>[0-9]+)$" .part-$number;
    }}

    server {{
        listen 127.0.0.1:{http_port} backlog=1024;
        listen 127.0.0.1:{https_port} ssl backlog=1024;
        root {root};
        add_header x-amz-request-id BENCHMARK0000000 always;

        location / {{
            if ($verb) {{ rewrite ^ /-/$verb last; }}
            error_page 404 405 =404 /-/missing.xml;
        }}
        # Uploads of which every byte is looked at afterwards.
        location /check/ {{
            if ($verb = create) {{ rewrite ^ /-/create last; }}
            if ($verb = complete) {{ rewrite ^ /-/complete last; }}
            if ($verb = put) {{ rewrite ^ $uri$suffix break; }}
            dav_methods PUT;
            create_full_put_path on;
            add_header ETag '"d41d8cd98f00b204e9800998ecf8427e"' always;
        }}
        location ~ ^/{listing}/?$ {{
            if ($page = "") {{ return 200; }}
            rewrite ^ /-/pages/$page.xml last;
        }}
        location /-/pages/ {{
            internal;
            default_type application/xml;
            etag off;
        }}
        location = /-/missing.xml {{
            internal;
            default_type application/xml;
            etag off;
        }}
        # Bodies are read to their end and dropped: `mirror` reads them, into a subrequest that is nothing,
        # and the static handler then refuses the method, of which we make a 200.
        location = /-/put {{
            internal;
            mirror /-/nothing;
            error_page 404 405 =200 @put;
        }}
        location = /-/complete {{
            internal;
            mirror /-/nothing;
            error_page 404 405 =200 @complete;
        }}
        location = /-/nothing {{
            internal;
            return 204;
        }}
        location @put {{
            add_header ETag '"d41d8cd98f00b204e9800998ecf8427e"' always;
            add_header x-amz-request-id BENCHMARK0000000 always;
            return 200;
        }}
        location = /-/create {{
            internal;
            default_type application/xml;
            return 200 '{create}';
        }}
        location @complete {{
            default_type application/xml;
            add_header x-amz-request-id BENCHMARK0000000 always;
            return 200 '{complete}';
        }}
        location = /-/delete {{
            internal;
            return 204;
        }}
    }}
}}
"""
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_CREATE = (
    f'{_XML}<InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>bench</Bucket>'
    "<Key>object</Key><UploadId>benchmark-upload</UploadId></InitiateMultipartUploadResult>"
)
_COMPLETE = (
    f'{_XML}<CompleteMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Location>http://127.0.0.1/bench/object</Location><Bucket>bench</Bucket><Key>object</Key>"
    "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e-64&quot;</ETag></CompleteMultipartUploadResult>"
)
_NO_SUCH_KEY = f"{_XML}<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


@dataclass(frozen=True)
class LimitServer:
    """A running limit server.

    Attributes:
        http: The endpoint without TLS.
        https: The endpoint with TLS 1.3.
        ca_bundle: PEM file of the authority that signed its certificate.
        root: The directory in which each file `<bucket>/<key>` is an object.
    """

    http: str
    https: str
    ca_bundle: str
    root: Path


def nginx_path() -> str:
    """Give the path of nginx.

    Raises:
        FileNotFoundError: It is not installed; the message names its package.
    """
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(os.environ.get("BUCKETRY_BENCH_NGINX", "nginx"), path=places)
    if found is None:
        raise FileNotFoundError(_MISSING)
    return found


def _user() -> str:
    """Give the configuration line that lets workers read root's files; empty for users other than root."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"


@contextmanager
def limit_server(directory: Path) -> Iterator[LimitServer]:
    """Run nginx with a directory in memory; its objects are the files below `root`."""
    root, state = directory / "root", directory / "nginx"
    (root / "-" / "pages").mkdir(parents=True)
    (root / "-" / "missing.xml").write_text(_NO_SUCH_KEY)
    for bucket in ("bench", "check", LISTING_BUCKET):
        (root / bucket).mkdir()
        (root / bucket / "warm").write_bytes(b"warm")
    state.mkdir()
    certificates = make_certificates(state)
    http_port, https_port = free_port(), free_port()
    configuration = state / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            user=_user(),
            state=state,
            root=root,
            certificate=certificates.certificate,
            key=certificates.key,
            http_port=http_port,
            https_port=https_port,
            listing=LISTING_BUCKET,
            create=_CREATE,
            complete=_COMPLETE,
        )
    )
    process = subprocess.Popen(
        [nginx_path(), "-p", str(state), "-c", str(configuration), "-e", str(state / "error.log")]
    )
    try:
        wait_for(http_port, process)
        wait_for(https_port, process)
        yield LimitServer(
            f"http://127.0.0.1:{http_port}", f"https://127.0.0.1:{https_port}", str(certificates.authority), root
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
