"""What a run can be written as for use elsewhere: `EXPORTS`, a dict from the names of --format.

A format of your own is one entry, put there by a module that the run's config lists in `plugins`:

    from lhrcnn.inference.export import EXPORTS, Format

    def write_weights(run, folder, options):
        numpy.savez(folder / "weights.npz", **run.model.named_variables())

    EXPORTS["weights"] = Format("the weights alone", write_weights, files=("weights.npz",))
"""

import dataclasses
import importlib.util
import typing

from lhrcnn.errors import DependencyError


class Format(typing.NamedTuple):
    """One format of exported models.

    function(run, folder, options) writes a `predictor.LoadedRun` as files into a folder that is
    empty; options are `Options`. opens(folder, precision) gives a function from images uint8
    [B, H, W, 3] to a dict of arrays, and words on what runs it and how precisely. "module:function"
    is imported when used."""

    meaning: str  # one line, for help and docs
    function: typing.Any
    files: tuple[str, ...]  # what a folder of this format holds; it is known by the first of them
    takes: str = ""  # lines on how the exported model is called
    cannot: str = ""  # what the exported model cannot do, in words for its user
    extra: str = ""  # the extra of lhrcnn that has what this format needs
    needs: tuple[str, ...] = ()  # the modules of that extra that write it
    opens: typing.Any = ""  # for `--model`; "" where lhrcnn cannot run it
    precisions: tuple[str, ...] = ("float32",)  # of `opens`; float32 leaves it as it was written
    runs_with: tuple[str, ...] = ()  # the modules of that extra that run it
    int8: str = ""  # 8 bits with ranges of "calibration" images, or of each "input"; "": none


@dataclasses.dataclass(frozen=True)
class Options:
    """What can be said about an export, whatever the format."""

    roi_impl: str = "tf"  # tf: stock TensorFlow ops; custom: the compiled op
    size: typing.Optional[tuple[int, int]] = None  # height and width, px, of images of fixed size
    batch_size: int = 1  # images that forms of fixed size take at once
    # Paths of images that ranges of int8 are taken from, where a format takes them from images.
    calibration: tuple[str, ...] = ()
    int8: bool = False  # implied by calibration


# What stands beside a model: what it is, how its input is made, and the config of its run. In a
# SavedModel they are assets.
DESCRIPTIONS = ("export.json", "preprocess.json", "config.yaml")
ASSETS = "assets.extra"

FIXED = (
    "input image: [--batch_size, height, width, 3] uint8 RGB, of --size; preprocess.json says how"
)
NOT_FIXED = "decode images, or take images of another size or another number of them"

EXPORTS = {
    "savedmodel": Format(
        "TensorFlow's SavedModel: encoded images, or batches of one size",
        "lhrcnn.inference.export.savedmodel:write_saved_model",
        files=(
            "saved_model.pb",
            "keras_metadata.pb",
            "fingerprint.pb",
            "variables",
            "assets",
            ASSETS,
        ),
        takes=(
            "signature serving_default: image_bytes [images] string, encoded images\n"
            "signature image_tensor: image_tensor [images, height, width, 3] uint8 RGB\n"
            "signature fixed_size: image [--batch_size, height, width, 3] uint8 RGB, of --size"
        ),
        cannot="run where there is no TensorFlow",
        opens="lhrcnn.inference.export.savedmodel:open_saved_model",
    ),
    "onnx": Format(
        "an ONNX file for images of --size, NMS inside",
        "lhrcnn.inference.export.onnx:write_onnx",
        files=("model.onnx", *DESCRIPTIONS),
        takes=FIXED,
        cannot=NOT_FIXED,
        extra="onnx",
        needs=("onnx", "tf2onnx"),
        opens="lhrcnn.inference.export.onnx:open_onnx",
        runs_with=("onnxruntime",),
        int8="calibration",
    ),
    "openvino": Format(
        "OpenVINO's model.xml and model.bin for images of --size, NMS inside",
        "lhrcnn.inference.export.openvino:write_openvino",
        files=("model.xml", "model.bin", *DESCRIPTIONS),
        takes=FIXED,
        cannot=NOT_FIXED,
        extra="openvino",
        needs=("onnx", "tf2onnx", "openvino"),
        opens="lhrcnn.inference.export.openvino:open_openvino",
        precisions=("float32", "bfloat16"),
        runs_with=("openvino",),
        int8="calibration",
    ),
    "litert": Format(
        "a LiteRT (TensorFlow Lite) file for images of --size, NMS inside",
        "lhrcnn.inference.export.litert:write_litert",
        files=("model.tflite", *DESCRIPTIONS),
        takes=FIXED,
        cannot=NOT_FIXED,
        extra="litert",
        opens="lhrcnn.inference.export.litert:open_litert",
        runs_with=("ai_edge_litert",),
        int8="input",
    ),
}


def require_extra(name, modules):
    """Raises DependencyError where modules that a format needs are not installed."""
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    if missing:
        extra = EXPORTS[name].extra
        packages = f"'lhrcnn[{extra}]'" if extra else " ".join(missing)
        raise DependencyError(f"{name} needs {', '.join(missing)}: pip install {packages}")
