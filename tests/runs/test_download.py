"""Downloads from a server that is slow, breaks off, lies, or has no ranges."""

import contextlib
import hashlib
import http.server
import threading
import time

import numpy as np
import pytest

from lhrcnn.errors import DownloadError
from lhrcnn.runs.download import download

CONTENT = np.random.default_rng(0).integers(0, 256, 3_500_000, np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.content`; `server.cut` ends an answer early, `server.ranges` allows ranges."""

    def do_GET(self):
        server, start = self.server, 0
        server.asked.append(self.headers.get("Range"))
        if server.ranges and "Range" in self.headers:
            start = int(self.headers["Range"].partition("=")[2].rstrip("-"))
        if server.status == 302:
            self.send_response(302)
            self.send_header("Location", server.elsewhere)
            return self.end_headers()
        if server.status != 200:
            return self.send_error(server.status)
        if start >= len(server.content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        content = server.content[start:]
        content = content[: server.cut] if server.cut else content
        with contextlib.suppress(ConnectionError):  # a reader may go away
            for place in range(0, len(content), 500_000):
                self.wfile.write(content[place : place + 500_000])
                time.sleep(server.pause)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    """A server on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.content, made.status, made.cut, made.ranges = CONTENT, 200, None, True
        made.pause, made.asked, made.url = 0, [], f"http://127.0.0.1:{made.server_port}/a.pth"
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()


def test_a_file_is_downloaded_once_and_checked(server, tmp_path, capsys):
    path = download(server.url, tmp_path / "cache" / "a.pth", SHA256[:8])
    assert path.read_bytes() == CONTENT and "3.5 MB of 3.5 MB (100%)" in capsys.readouterr().err
    assert sorted(file.name for file in path.parent.iterdir()) == [".lock", "a.pth"]
    assert download(server.url, path, SHA256[:8], False) == path and len(server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_what_broke_off_is_gone_on_with(server, tmp_path, ranges):
    server.cut, server.ranges, path = 1_200_000, ranges, tmp_path / "a.pth"
    with pytest.raises(DownloadError, match=f"{server.url}: .*ended after 1200000 of 3500000"):
        download(server.url, path, SHA256[:8], False)
    assert not path.exists() and (tmp_path / "a.pth.part").stat().st_size == 1_200_000
    server.cut = None
    assert download(server.url, path, SHA256[:8], False).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1200000-"]


def test_a_complete_part_is_checked_and_kept(server, tmp_path):
    (tmp_path / "a.pth.part").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "a.pth", SHA256, False).read_bytes() == CONTENT


def test_wrong_bytes_leave_nothing(server, tmp_path):
    server.content = CONTENT[:-1] + b"?"
    for _ in range(2):
        with pytest.raises(DownloadError, match=f"expected {SHA256[:8]}"):
            download(server.url, tmp_path / "a.pth", SHA256[:8], False)
        assert [file.name for file in tmp_path.iterdir()] == [".lock"]
    (tmp_path / "a.pth.part").write_bytes(b"of something else")
    with pytest.raises(DownloadError, match=f"expected {SHA256[:8]}"):
        download(server.url, tmp_path / "a.pth", SHA256[:8], False)
    server.content = CONTENT
    assert download(server.url, tmp_path / "a.pth", SHA256[:8], False).read_bytes() == CONTENT


def test_a_slow_server_is_waited_for_and_told_about(server, tmp_path, capsys):
    server.pause = 0.4
    download(server.url, tmp_path / "a.pth", SHA256[:8])
    assert len(capsys.readouterr().err.splitlines()) >= 2


@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_server_that_refuses_is_named(server, tmp_path, status):
    server.status = status
    with pytest.raises(DownloadError, match=f"{server.url}: cannot be downloaded.*--from"):
        download(server.url, tmp_path / "a.pth", SHA256[:8], False)


def test_no_server_is_named(tmp_path):
    with pytest.raises(DownloadError, match="127.0.0.1:9/a.pth: cannot be downloaded"):
        download("http://127.0.0.1:9/a.pth", tmp_path / "a.pth", SHA256[:8], False)


@pytest.mark.parametrize("url", ["http://192.0.2.1/a.pth", "file:///a.pth", "ftp://192.0.2.1/a"])
def test_only_https_is_asked_and_followed(server, tmp_path, url):
    with pytest.raises(DownloadError, match=f"{url}: not downloaded: it is not https"):
        download(url, tmp_path / "a.pth", SHA256[:8], False)
    server.status, server.elsewhere = 302, url
    with pytest.raises(DownloadError, match=f"{url}.* not (downloaded|allowed)"):
        download(server.url, tmp_path / "a.pth", SHA256[:8], False)
    assert not (tmp_path / "a.pth").exists()


def test_a_full_disk_is_told_and_leaves_no_file(server, tmp_path, monkeypatch):
    from lhrcnn.runs import download as module

    def full(answer, file, *others):
        file.write(answer.read(1000))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_copy", full)
    with pytest.raises(DownloadError, match="a.pth.part: .*No space left on device.* MB are free"):
        download(server.url, tmp_path / "a.pth", SHA256[:8], False)
    assert not (tmp_path / "a.pth").exists()
