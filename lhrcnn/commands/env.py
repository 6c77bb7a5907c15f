"""`lhrcnn env`."""

import platform
import sys

import lhrcnn
from lhrcnn import commands

PACKAGES = (
    "tensorflow keras tf-keras tensorflow-addons keras-cv numpy pillow hotcoco pycocotools "
    "faster-coco-eval absl-py tensorboard pyyaml matplotlib"
).split()


def run(values):
    """Prints versions, devices and the state of the op."""
    del values
    rows = [
        ("lhrcnn", f"{lhrcnn.__version__} in {commands.PACKAGE}"),
        ("python", f"{platform.python_version()} at {sys.executable}"),
        ("platform", platform.platform()),
    ]
    rows += [(name, _version(name)) for name in PACKAGES]

    import tensorflow as tf

    from lhrcnn.ops.compiled import custom_op_status

    rows += [
        ("devices", ", ".join(_describe(device) for device in tf.config.list_physical_devices())),
        ("compiled ops", custom_op_status()),
    ]
    print("\n".join(f"{name:<18} {value}" for name, value in rows))


def _version(package):
    import importlib.metadata  # takes a tenth of the time of `lhrcnn --help`

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _describe(device):
    import tensorflow as tf

    name = tf.config.experimental.get_device_details(device).get("device_name")
    return device.name.split(":", 1)[1] + (f" ({name})" if name else "")


COMMAND = commands.Command("versions, devices and the compiled op", (), run)
