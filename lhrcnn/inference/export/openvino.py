"""A run as OpenVINO's model.xml and model.bin, made of its ONNX form; in 8 bits by NNCF."""

import dataclasses
import json
import logging

from lhrcnn.errors import ExportError
from lhrcnn.inference.export import require_extra
from lhrcnn.inference.export.description import HELD_OUT, write_json
from lhrcnn.inference.export.int8 import FLOAT, calibration_inputs
from lhrcnn.inference.export.onnx import hindrances, write_onnx

# Operators that stay float32 in 8 bits, since they also make boxes of deltas.
ARITHMETIC = ("Add", "Subtract", "Multiply", "Divide", "Power", "Maximum", "Minimum", "Clamp")
ARITHMETIC += ("ReduceMax", "ReduceSum", "Interpolate")


def write_openvino(run, folder, options):
    """Writes a `LoadedRun` into an empty folder, an entry of `EXPORTS`; errors as of `write_onnx`.

    Weights stay float32 unless options.calibration is given; what the model is stands in the file
    as rt_info under "lhrcnn" too."""
    for hindrance in hindrances(run.config, options):
        raise ExportError(f"--format openvino: {hindrance}")
    if options.calibration:
        require_extra("openvino", ("nncf",))
    write_onnx(run, folder, dataclasses.replace(options, calibration=()))
    from_onnx(folder)
    if options.calibration:
        _quantise(folder, options, run.config.data.accurate_jpeg)


def from_onnx(folder):
    """Puts model.xml and model.bin in the place of a folder's model.onnx."""
    import openvino

    model = openvino.Core().read_model(folder / "model.onnx")
    description = _read(folder / "export.json")
    description.pop(HELD_OUT, None)
    for key, value in description.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        model.set_rt_info(text, ["lhrcnn", key])
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    (folder / "model.onnx").unlink()


def open_openvino(folder, precision):
    """As of Format.opens. float32 is asked for by name: by default OpenVINO takes bfloat16 where
    the processor has it."""
    import openvino

    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    model = openvino.Core().compile_model(
        folder / "model.xml",
        "CPU",
        {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"},
    )
    used = model.get_property("INFERENCE_PRECISION_HINT").get_type_name()

    def run(images):
        return {key.any_name: value for key, value in model([images]).items()}

    return run, f"OpenVINO {openvino.__version__.split('-')[0]}, {used}"


def _quantise(folder, options, accurate_jpeg):
    """Puts the 8-bit form of a folder's model in its place.

    It is read from its file: NNCF cannot take a loop as it comes from ONNX, whose body shares
    constants with the graph around it."""
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    model = openvino.Core().read_model(folder / "model.xml")
    preprocess = _read(folder / "preprocess.json")
    images = list(calibration_inputs(options, preprocess, accurate_jpeg))
    ignored = nncf.IgnoredScope(
        names=_products_of_activations(model),
        patterns=[f".*{part}.*" for part in FLOAT],
        types=list(ARITHMETIC),
        validate=False,  # not every model has all of them
    )
    model = nncf.quantize(
        model, nncf.Dataset(images), subset_size=len(images), ignored_scope=ignored
    )
    model.set_rt_info("int8", ["lhrcnn", "precision"])
    openvino.save_model(model, folder / "int8.xml", compress_to_fp16=False)
    for suffix in (".xml", ".bin"):
        (folder / f"int8{suffix}").replace(folder / f"model{suffix}")
    description = {**_read(folder / "export.json"), "precision": "int8"}
    write_json(description, folder / "export.json")


def _products_of_activations(model):
    """Names of matrix products without weights, such as that of box voting."""
    products = [node for node in model.get_ops() if node.get_type_name() == "MatMul"]
    return [
        node.get_friendly_name()
        for node in products
        if all(value.get_node().get_type_name() != "Constant" for value in node.input_values())
    ]


def _read(path):
    return json.loads(path.read_text(encoding="utf-8"))
