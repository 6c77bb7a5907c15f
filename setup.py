"""Packaging of lhrcnn: dependencies of the two stacks, and files from outside the package."""

import pathlib
import re
import shutil

import setuptools
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).resolve().parent
COPIED = {"custom_ops": ("ops/csrc", (".h", ".cc", ".cu")), "configs": ("configs", (".yaml",))}

FIRST_STACK = (
    'python_version < "3.12"'  # TensorFlow 2.15, the newest that tensorflow-addons runs on
)
SECOND_STACK = 'python_version >= "3.12"'
TO_ONNX = [
    'tf2onnx>=1.17,<1.18; python_version == "3.10" or python_version == "3.11"',
    # From 1.19 on it does not import beside the ml-dtypes of TensorFlow 2.15.
    f"onnx>=1.17,<1.19; {FIRST_STACK}",
]


class BuildWithSources(build_py):
    """Puts the ops' sources and the configs into the built package.

    The ops are compiled later, against the TensorFlow they meet."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        for folder, (target, suffixes) in COPIED.items():
            destination = pathlib.Path(self.build_lib, "lhrcnn", target)
            destination.mkdir(parents=True, exist_ok=True)
            for path in sorted((ROOT / folder).rglob("*")):
                if path.suffix in suffixes:
                    shutil.copyfile(path, destination / path.name)


def text(name):
    return (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).exists() else ""


setuptools.setup(
    name="lhrcnn",
    version=re.search(r'__version__ = "(.+)"', text("lhrcnn/__init__.py")).group(1),
    description="Two-stage object detection in TensorFlow 2: Light-Head R-CNN, Faster R-CNN",
    long_description=text("README.md"),
    long_description_content_type="text/markdown",
    packages=setuptools.find_packages(include=["lhrcnn", "lhrcnn.*"]),
    package_data={
        "lhrcnn": [
            f"zoo/{path}"
            for path in ("*.tsv", "*/*.yaml", "*/*.txt", "*/*.json", "*/*/*.json", "*/*/*.npz")
        ]
        + ["evaluation/report/page.css", "evaluation/report/page.js"]
    },
    python_requires=">=3.9,<3.14",
    install_requires=[
        f"tensorflow>=2.15.1,<2.16; {FIRST_STACK}",
        f"tensorflow-addons>=0.23,<0.24; {FIRST_STACK}",
        f"tensorflow-metadata<1.16; {FIRST_STACK}",  # newer ones need another protobuf
        f"setuptools<81; {FIRST_STACK}",  # TensorBoard 2.15 imports pkg_resources
        f"tensorflow>=2.21,<2.22; {SECOND_STACK}",
        f"tf-keras>=2.21,<2.22; {SECOND_STACK}",
        "keras-cv>=0.9,<0.10",
        "ml-dtypes>=0.3,<1",  # bfloat16 of NumPy, which TensorFlow takes from there
        "numpy>=1.23.5,<3",
        "absl-py>=1.4,<3",
        "tensorboard>=2.15,<2.22",
        "pillow>=10,<14",
        "pycocotools>=2.0.7,<3",
        "faster-coco-eval>=1.6,<2",
        'hotcoco>=1.3,<2; python_version >= "3.10"',
        "pyyaml>=6,<7",
        "matplotlib>=3.7,<4",
    ],
    extras_require={
        "test": ["pytest>=7.4,<10", "pytest-xdist>=3.5,<4", "ruff>=0.14.6,<0.15"],
        "video": ["av>=12,<19"],
        "heic": ["pillow-heif>=0.16,<2"],
        "onnx": [*TO_ONNX, "onnxruntime>=1.19,<2"],  # 1.19 is the last for Python 3.9
        "openvino": [
            *TO_ONNX,
            "openvino>=2025,<2027",
            'nncf>=3.4,<4; python_version >= "3.10"',  # 8 bits
        ],
        "litert": ['ai-edge-litert>=2,<3; python_version >= "3.10"'],
        "beam": ['apache-beam>=2.77,<3; python_version >= "3.10"'],
        "cuda": ["tensorflow[and-cuda]"],  # NVIDIA's libraries for a GPU, Linux only
    },
    entry_points={"console_scripts": ["lhrcnn = lhrcnn.cli:main"]},
    cmdclass={"build_py": BuildWithSources},
    zip_safe=False,
)
