"""Public checkpoints by name, from a server on this machine: downloaded, checked, converted."""

import functools
import hashlib
import http.server
import pickle
import re
import threading

import numpy as np
import pytest
from data.samples import write_coco
from PIL import Image
from weights import foreign
from weights.test_importers import FPN

from lhrcnn import config as configs
from lhrcnn.config.shipped import find_config
from lhrcnn.ops.compiled import library
from lhrcnn.runs import public
from lhrcnn.weights.sources import SOURCES

CHANGES = " ".join([*FPN, "data.short_side=[64]", "data.long_side=64", "data.classes=[cat,dog]"])


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """In a folder of its own."""
    library()  # from the usual cache: in this one it would be compiled anew
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LHRCNN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def checkpoint(tmp_path, rng, monkeypatch):
    """A small checkpoint of torch's names, served, as the one public model `small`."""
    served = tmp_path / "served"
    served.mkdir()
    content = pickle.dumps({"state_dict": foreign.mmdet_fpn(rng)}, protocol=2)
    path = served / f"small-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    path.write_bytes(content)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    monkeypatch.setattr(handler.func, "log_message", lambda *arguments: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("LHRCNN_ZOO_URL", f"http://127.0.0.1:{server.server_port}/")
        row = ["small", "mmdet", "faster_rcnn_resnet50_fpn_coco", CHANGES]
        row += ["37.4", "1", "1.00", "Apache-2.0"]
        table = tmp_path / "public.tsv"
        table.write_text("\n".join(["#", "names", "\t".join([*row, f"https://x/{path.name}"])]))
        monkeypatch.setattr(public, "TABLE", table)
        yield path
        server.shutdown()


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(np.zeros([40, 60, 3], np.uint8)).save(path)
    return path


def test_a_name_stands_for_a_run_directory(call, checkpoint, image, tmp_path):
    words = ["predict", image, "--run_dir", "small", "--output", "found", "--score_threshold", 0]
    status, out, err = call(*words)
    assert status == 0, err
    assert "127.0.0.1" in out and checkpoint.name in out and "Apache-2.0" in out
    checkpoint.unlink()
    assert call(*words)[0] == 0, "the second time it is there"
    status, out, _ = call("zoo")
    assert status == 0 and str(tmp_path / "cache" / "zoo" / "small") in out
    assert [p.name for p in (tmp_path / "cache" / "zoo" / "downloads").iterdir()] == [".lock"]


def test_get_says_where_it_is(call, checkpoint, tmp_path):
    status, out, _ = call("zoo", "get", "small")
    assert status == 0 and f"run directory  {tmp_path / 'cache/zoo/small'}" in out
    assert "lhrcnn predict photo.jpg --run_dir small" in out


def test_verify_puts_the_measured_ap_beside_the_published(call, checkpoint, tmp_path):
    write_coco(tmp_path, images="val", annotations="annotations/instances_val.json")
    words = ["zoo", "verify", "small", "--data_dir", tmp_path, "--split", "val"]
    status, out, err = call(*words)
    assert status == 0, err
    assert re.search(r"published +37.4 +5000  COCO val2017\n", out)
    assert re.search(r"measured here +\d+\.\d +2  ", out) and "small_verified.json" in out
    status, _, err = call("zoo", "verify", "small")
    assert status == 2 and "--data_dir is missing" in err


def test_a_folder_of_evaluations_does_not_hide_the_model(call, checkpoint, image, tmp_path):
    (tmp_path / "small" / "eval").mkdir(parents=True)
    assert call("predict", image, "--run_dir", "small", "--output", "found")[0] == 0


def test_without_a_network(call, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("LHRCNN_ZOO_URL", "http://127.0.0.1:9")
    status, _, err = call("zoo", "get", "small")
    assert status == 1 and f"http://127.0.0.1:9/{checkpoint.name}" in err and "--from FILE" in err
    assert call("zoo", "get", "small", "--from", checkpoint)[0] == 0 and checkpoint.exists()
    status, _, err = call("zoo", "get", "small", "--from", tmp_path / "none.pth")
    assert status == 1 and "none.pth: no such file" in err


def test_other_bytes_are_not_used(call, checkpoint, tmp_path):
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1] + b"?")
    for words in (["zoo", "get", "small"], ["zoo", "get", "small", "--from", checkpoint]):
        status, _, err = call(*words)
        assert status == 1 and "sha256 begins with" in err and checkpoint.name in err
    assert not (tmp_path / "cache" / "zoo" / "small").exists()


def test_a_checkpoint_that_does_not_fit_leaves_nothing(call, checkpoint, tmp_path, monkeypatch):
    table = public.TABLE.read_text().replace("model.fpn.channels=8", "model.fpn.channels=16")
    assert table != public.TABLE.read_text()
    public.TABLE.write_text(table)
    status, _, err = call("zoo", "get", "small")
    assert status == 1 and "Traceback" not in err
    assert [p.name for p in (tmp_path / "cache" / "zoo").iterdir()] == ["downloads"]


def test_an_unknown_name(call):
    status, _, err = call("zoo", "get", "faster_rcnn_r50_fpn_1x")
    assert status == 2 and "did you mean 'faster_rcnn_r50_fpn_1x_coco'?" in err


@pytest.mark.parametrize("name", public.models())
def test_every_row_names_a_config_that_loads(name):
    model = public.models()[name]
    config = configs.load(find_config(model.config), model.changes.split())
    assert config.model.head.kind == "fc" and model.source in SOURCES
    assert re.fullmatch(r"[0-9a-f]{8}", model.sha256) and model.url.startswith("https://")
    of_torchvision = model.source == "torchvision"
    assert config.data.size_rounding == ("floor" if of_torchvision else "half_up")
    assert config.data.accurate_jpeg and config.data.whole_pixels != of_torchvision
    assert float(model.megabytes) > 50 and 0.01 < float(model.time) < 10
    assert 20 < float(model.ap) < 60 and model.licence in ("BSD-3-Clause", "Apache-2.0")
