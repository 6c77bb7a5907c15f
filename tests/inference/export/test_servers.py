"""The requests and configuration files of docs/serving.md, against stand-ins of the servers.

The stand-ins follow TensorFlow Serving's REST API and the Open Inference Protocol (version 2).
"""

import base64
import contextlib
import http.server
import json
import pathlib
import re
import threading

import numpy as np
import pytest
import tensorflow as tf
from inference.conftest import draw_image
from PIL import Image

from lhrcnn.inference.export import Options
from lhrcnn.inference.export.savedmodel import decoded_or_nothing
from lhrcnn.inference.export.write import export
from lhrcnn.inference.predictor import Detector

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "serving.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
SIZE = 64, 85


def block_with(words):
    (block,) = [block for block in BLOCKS if words in block]
    return block


@contextlib.contextmanager
def served(answer):
    """The address of a server that answers a POST by answer(path, request) -> response."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = json.dumps(answer(self.path, request)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def run_block(block, address, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    exec(re.sub(r"http://localhost:\d+", address, block), names)  # our own page
    return names["found"]


@pytest.fixture
def photo(tmp_path, run_dir):
    """(folder with photo.jpg, what the predictor finds there); of the size the models take, as EXIF
    turns it."""
    stored, exif = (
        Image.fromarray(draw_image(*SIZE)).transpose(Image.Transpose.ROTATE_90),
        Image.Exif(),
    )
    exif[0x0112] = 6
    stored.save(tmp_path / "photo.jpg", "PNG", exif=exif)  # PNG, which all read alike
    return tmp_path, Detector.from_run(run_dir).predict(tmp_path / "photo.jpg")


def assert_found(found, expected):
    number = int(found["num_detections"])
    assert number == len(expected) > 0
    np.testing.assert_allclose(np.array(found["boxes"])[:number], expected.boxes, atol=1e-2)
    np.testing.assert_allclose(np.array(found["scores"])[:number], expected.scores, atol=1e-4)


def test_request_to_tensorflow_serving(saved, photo, monkeypatch):
    folder, expected = photo
    loaded = tf.saved_model.load(str(saved))

    def answer(path, request):
        assert path == "/v1/models/lhrcnn:predict"
        function = loaded.signatures[request["signature_name"]]
        (name,) = function.structured_input_signature[1]
        values = [base64.b64decode(row[name]["b64"]) for row in request["instances"]]
        found = {
            key: value.numpy() for key, value in function(**{name: tf.constant(values)}).items()
        }
        rows = range(len(values))
        return {"predictions": [{key: found[key][row].tolist() for key in found} for row in rows]}

    with served(answer) as address:
        found = run_block(block_with("/v1/models"), address, folder, monkeypatch)
    assert_found(found, expected)


def test_triton_config_and_request_of_the_open_inference_protocol(run_dir, photo, monkeypatch):
    for module in ("onnx", "tf2onnx", "onnxruntime"):
        pytest.importorskip(module, reason="needs lhrcnn[onnx]")
    import onnxruntime

    folder, expected = photo
    path = export(run_dir, folder / "exported_onnx", "onnx", Options(size=SIZE)) / "model.onnx"
    (folder / "models" / "lhrcnn" / "1").mkdir(parents=True)
    path.rename(folder / "models" / "lhrcnn" / "1" / "model.onnx")
    monkeypatch.chdir(folder)
    exec(block_with("config.pbtxt"), {})  # our own page
    lines = pathlib.Path("models/lhrcnn/config.pbtxt").read_text().splitlines()
    assert lines[:3] == ['name: "lhrcnn"', 'backend: "onnxruntime"', "max_batch_size: 0"]
    assert 'input { name: "image" data_type: TYPE_UINT8 dims: [1, 64, 85, 3] }' in lines
    assert 'output { name: "boxes" data_type: TYPE_FP32 dims: [1, 8, 4] }' in lines
    assert len(lines) == 3 + 1 + 4
    session = onnxruntime.InferenceSession("models/lhrcnn/1/model.onnx")

    def answer(path, request):
        assert path == "/v2/models/lhrcnn/infer"
        (tensor,) = request["inputs"]
        assert tensor["datatype"] == "UINT8"
        values = np.array(tensor["data"], np.uint8).reshape(tensor["shape"])
        names = [output.name for output in session.get_outputs()]
        outputs = zip(names, session.run(None, {tensor["name"]: values}))
        return {
            "outputs": [
                {"name": name, "shape": value.shape, "data": value.ravel().tolist()}
                for name, value in outputs
            ]
        }

    with served(answer) as address:
        found = run_block(block_with("/v2/models"), address, folder, monkeypatch)
    assert_found({name: value[0] for name, value in found.items()}, expected)


def test_a_client_turns_what_a_savedmodel_does_not_decode_into_png(tmp_path):
    names = {}
    exec(block_with("def as_png"), names)  # our own page
    bits = Image.fromarray(draw_image(20, 30)).convert("1")
    bits.save(tmp_path / "bits.bmp")
    contents = (tmp_path / "bits.bmp").read_bytes()
    assert not decoded_or_nothing(tf.constant(contents))[1]
    image, is_image = decoded_or_nothing(tf.constant(names["as_png"](tmp_path / "bits.bmp")))
    assert is_image and (image.numpy() == np.asarray(bits.convert("RGB"))).all()
