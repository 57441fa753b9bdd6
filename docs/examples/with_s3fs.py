"""The everyday work with s3fs: the same functions as in with_bucketry.py, synchronous as most programs use it."""

from __future__ import annotations

# --8<-- [start:open]
from collections.abc import Callable, Iterator

from s3fs import S3FileSystem


def connect(endpoint_url: str, work: Callable[[S3FileSystem], None]) -> None:
    fs = S3FileSystem(
        endpoint_url=endpoint_url,  # leave it out for AWS
        client_kwargs={"region_name": "us-east-1"},
        config_kwargs={
            "connect_timeout": 5,
            "read_timeout": 30,
            "retries": {"total_max_attempts": 5, "mode": "standard"},
            "max_pool_connections": 64,
        },
        max_concurrency=32,
    )
    work(fs)  # closed when the program ends


# --8<-- [end:open]


# --8<-- [start:put_get]
def put_get(fs: S3FileSystem) -> bytes:
    fs.pipe_file(
        "my-bucket/notes.txt",
        b"hello",
        ContentType="text/plain",
        Metadata={"author": "me"},
    )
    return fs.cat_file("my-bucket/notes.txt")


# --8<-- [end:put_get]


# --8<-- [start:head]
def head(fs: S3FileSystem) -> tuple[int, str, bool]:
    info = fs.info("my-bucket/notes.txt")
    missing = fs.exists("my-bucket/missing.txt")
    return info["size"], info["ContentType"], missing


# --8<-- [end:head]


# --8<-- [start:list]
def list_keys(fs: S3FileSystem) -> list[str]:
    paths = fs.find("my-bucket/logs")
    return [path.removeprefix("my-bucket/") for path in paths]


def list_directories(fs: S3FileSystem) -> list[str]:
    entries = fs.ls("my-bucket/logs", detail=True)
    return [
        entry["name"].removeprefix("my-bucket/") + "/"
        for entry in entries
        if entry["type"] == "directory"
    ]  # fmt: skip


# --8<-- [end:list]


# --8<-- [start:delete]
def delete(fs: S3FileSystem) -> None:
    fs.rm_file("my-bucket/logs/1/a.log")
    fs.rm(["my-bucket/logs/1/b.log", "my-bucket/logs/2/c.log"])


# --8<-- [end:delete]


# --8<-- [start:file]
def file(fs: S3FileSystem) -> None:
    fs.put_file("model.bin", "my-bucket/models/model.bin")
    fs.get_file("my-bucket/models/model.bin", "copy.bin")


# --8<-- [end:file]


# --8<-- [start:directory]
def directory(fs: S3FileSystem) -> None:
    fs.put("data/", "my-bucket/data/", recursive=True)
    fs.get("my-bucket/data/", "data-copy/", recursive=True)


# --8<-- [end:directory]


# --8<-- [start:stream]
def stream(fs: S3FileSystem) -> int:
    size = 0
    with fs.open("my-bucket/models/model.bin", "rb") as reader:
        while chunk := reader.read(1024 * 1024):
            size += len(chunk)
    return size


# --8<-- [end:stream]


# --8<-- [start:generate]
def lines() -> Iterator[bytes]:
    for number in range(1_000):
        yield b"line %d\n" % number * 1_000


def generate(fs: S3FileSystem) -> None:
    with fs.open("my-bucket/report.txt", "wb") as writer:
        for line in lines():
            writer.write(line)


# --8<-- [end:generate]


# --8<-- [start:ranges]
def ranges(fs: S3FileSystem) -> list[bytes]:
    path = "my-bucket/report.txt"
    first = fs.cat_file(path, start=0, end=6)
    more = fs.cat_ranges([path, path], [0, 700], [6, 706])
    return [first, *more]


# --8<-- [end:ranges]


# --8<-- [start:parts]
def parts(fs: S3FileSystem) -> None:
    size = 5 * 1024 * 1024
    with fs.open("my-bucket/parts.bin", "wb", block_size=size) as writer:
        writer.write(bytes(size))
        writer.write(b"the end")


# --8<-- [end:parts]


# --8<-- [start:presign]
def presign(fs: S3FileSystem) -> str:
    return fs.sign("my-bucket/notes.txt", expiration=600)


# --8<-- [end:presign]


# --8<-- [start:copy]
def copy(fs: S3FileSystem) -> None:
    fs.copy("my-bucket/notes.txt", "my-bucket/archive/notes.txt")
    fs.mv("my-bucket/parts.bin", "my-bucket/archive/parts.bin")


# --8<-- [end:copy]


# --8<-- [start:create]
def create(fs: S3FileSystem) -> bool:
    try:
        fs.pipe_file("my-bucket/notes.txt", b"mine", mode="create")
    except FileExistsError:
        return False
    return True


# --8<-- [end:create]


# --8<-- [start:errors]
def errors(fs: S3FileSystem) -> bytes:
    try:
        return fs.cat_file("my-bucket/missing.txt")
    except FileNotFoundError:
        return b"default"
    except OSError as error:
        print(error.errno, error.__cause__)
        raise


# --8<-- [end:errors]


# --8<-- [start:many]
def many(fs: S3FileSystem) -> int:
    paths = [f"my-bucket/small/{number}" for number in range(100)]
    return sum(map(len, fs.cat(paths).values()))  # all in memory


# --8<-- [end:many]


def main() -> None:
    import os  # noqa: PLC0415 - the pages do not show this

    from bucketry.testing import embedded_s3  # noqa: PLC0415

    def work(fs: S3FileSystem) -> None:
        print(put_get(fs), head(fs), errors(fs))

    os.environ |= {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example"}
    with embedded_s3("my-bucket") as server:
        connect(server.endpoint_url, work)


if __name__ == "__main__":
    main()
