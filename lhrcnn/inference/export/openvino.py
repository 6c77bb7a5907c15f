"""A run as OpenVINO's model.xml and model.bin, made of its ONNX form."""

import json

from lhrcnn.inference.export.onnx import write_onnx


def write_openvino(run, folder, options):
    """Writes a `LoadedRun` into an empty folder, an entry of `EXPORTS`; errors as of `write_onnx`.

    Weights stay float32; what the model is stands in the file as rt_info under "lhrcnn" too."""
    write_onnx(run, folder, options)
    from_onnx(folder)


def from_onnx(folder):
    """Puts model.xml and model.bin in the place of a folder's model.onnx."""
    import openvino

    model = openvino.Core().read_model(folder / "model.onnx")
    for key, value in json.loads((folder / "export.json").read_text(encoding="utf-8")).items():
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
