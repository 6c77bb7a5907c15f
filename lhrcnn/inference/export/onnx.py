"""A run as an ONNX file, with resizing, normalisation and NMS inside, for one image of fixed size.

Input image [1, H, W, 3] uint8 RGB; outputs as of `fixed.fixed_function`. What the model is stands
in the file's metadata and in export.json beside it.
"""

import json
import logging

from lhrcnn.errors import ExportError
from lhrcnn.inference.export.description import describe, write_description
from lhrcnn.inference.export.fixed import fixed_function

OPSET = 17


def write_onnx(run, folder, options):
    """Writes a `LoadedRun` as model.onnx into an empty folder, an entry of `EXPORTS`.

    Raises ExportError naming the option of the run that stands in the way."""
    import tf2onnx

    for hindrance in hindrances(run.config, options):
        raise ExportError(f"--format onnx: {hindrance}")
    function = fixed_function(run, options.size)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    size = list(function.input_signature[0].shape[1:3])
    description = {**describe(run, options), "image_size": size, "opset": OPSET}
    for key, value in description.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        model.metadata_props.add(key=key, value=text)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    write_description(description, folder / "export.json")


def hindrances(config, options):
    """A line for each option of a Config that has no form in ONNX yet."""
    head, test = config.model.head, config.test
    checks = [
        (
            head.kind in ("light", "rfcn"),
            f"'model.head.kind' {head.kind} pools by RoIAlign or RoIPool in a loop; allowed: "
            "light, rfcn",
        ),
        (
            head.localisation == "box",
            f"'model.head.localisation' {head.localisation} pools in a loop; allowed: box",
        ),
        (
            not config.model.postprocess.soft_nms_sigma,
            "ONNX has no soft NMS; --set model.postprocess.soft_nms_sigma=0 takes the usual one",
        ),
        (
            len(test.scales) == 1 and not test.flip,
            "an image is looked at once; --set test.scales=[1.0] --set test.flip=false",
        ),
        (
            test.precision == "float32",
            f"'test.precision' is {test.precision}; --set test.precision=float32",
        ),
        (options.roi_impl == "tf", "the compiled op is TensorFlow's; --roi_impl=tf"),
    ]
    return [line for fine, line in checks if not fine]
