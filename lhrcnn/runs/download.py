"""Files from the web: once, resumed where they broke off, under their name only when checked."""

import contextlib
import errno
import http.client
import os
import pathlib
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from lhrcnn.errors import DownloadError
from lhrcnn.files import held, sha256_of

BLOCK = 1 << 20
TIMEOUT_S = 30
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def download(url, path, sha256, progress=True):
    """Makes the file `path` of what is at `url`, by https unless it is this machine; returns the
    path.

    sha256: the first digits of the file's, eight at least. What a broken-off call got stays as
    PATH.part, and the next goes on from there. progress: whether to tell about it on stderr.
    Raises DownloadError that names the URL where it cannot be had, is cut off, has another sha256
    or is not https; `path` is then as it was."""
    path = pathlib.Path(path)
    if path.is_file():
        return path
    if len(sha256) < 8:
        raise ValueError(f"{url}: {len(sha256)} digits of a sha256 are too few to check it by")
    _check_address(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with held(path.parent, "LHRCNN_CACHE"):
        try:
            _fetch(url, part, progress)
        except DownloadError:
            raise
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            raise DownloadError(_message(url, part, error)) from error
        check(part, sha256, url)
        os.replace(part, path)
    return path


def _message(url, part, error):
    """What to tell about an error of `_fetch`."""
    goes_on = "the same command goes on from what is there"
    if getattr(error, "errno", None) in DISK_ERRORS:
        free = shutil.disk_usage(part.parent).free / 1e6
        return (
            f"{part}: cannot be written: {error.strerror}; {free:.0f} MB are free there. Make room "
            f"or set LHRCNN_CACHE to another folder; {goes_on}"
        )
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return (
        f"{url}: cannot be downloaded: {reason}; {goes_on}. Without a network: get the file "
        "elsewhere, for `lhrcnn zoo get --from FILE`"
    )


def check(path, sha256, source):
    """Compares a file with the first digits of its sha256.

    Raises DownloadError for another one; a `.part` file is deleted then, since it can only be
    begun anew."""
    digest = sha256_of(path)
    if not digest.startswith(sha256.lower()):
        if str(path).endswith(".part"):
            os.unlink(path)
        raise DownloadError(
            f"{source}: its sha256 begins with {digest[: len(sha256)]}, expected "
            f"{sha256}: it is damaged or another file, and was not used"
        )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """An answer that sends elsewhere is followed by https alone."""

    def redirect_request(self, *arguments):  # the last is the new URL
        _check_address(arguments[-1])
        return super().redirect_request(*arguments)


def _check_address(url):
    """Raises DownloadError for what anybody on the way could change."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise DownloadError(
            f"{url}: not downloaded: it is not https, so that anybody on the way could change it; "
            "give an https address, or get the file yourself, for `lhrcnn zoo get --from FILE`"
        )


def _fetch(url, part, progress):
    """Appends to the file `part` what is missing of it."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "lhrcnn", **({"Range": f"bytes={start}-"} if start else {})}
    try:
        answer = urllib.request.build_opener(_Redirects).open(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S
        )
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            return  # all of it is there
        raise
    with contextlib.closing(answer):
        if answer.status != http.client.PARTIAL_CONTENT:
            start = 0  # a server without ranges begins anew
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length else None
        with open(part, "ab" if start else "wb") as file:
            got = _copy(answer, file, start, total, progress)
    if total is not None and got < total:
        raise OSError(f"the connection ended after {got} of {total} bytes")


def _copy(answer, file, got, total, progress):
    """Copies the answer into the file and tells how far it is; returns the bytes that are there."""
    told = time.monotonic()
    while block := answer.read(BLOCK):
        file.write(block)
        got += len(block)
        if progress and (time.monotonic() - told > 1 or got == total):
            share = f" of {total / 1e6:.1f} MB ({got / total:.0%})" if total else ""
            print(f"downloaded {got / 1e6:.1f} MB{share}", file=sys.stderr, flush=True)
            told = time.monotonic()
    return got
