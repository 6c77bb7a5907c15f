"""Random calls of the compiled ops under AddressSanitizer and UndefinedBehaviorSanitizer.

  python custom_ops/fuzz/fuzz_ops.py --calls 100000

Maps and boxes are empty, huge, denormal, infinite or NaN, shapes and attributes often such that
they do not fit, calls eager or in a graph that knows no shape. Whatever fits must give finite
results of the right shape for finite maps; all else must raise InvalidArgumentError. Exit status 0:
it was so, and no sanitizer reported anything. Needs g++ and TensorFlow.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "custom_ops" / "cuda_emulation")]
ODD = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3.4e38, -3.4e38, 1e-40, -1e-45, 0, -0.0])
LIBRARY = "LHRCNN_FUZZED_LIBRARY"  # set in the process that has the sanitizers' runtime


def build(folder):
    """The library of all ops with sanitizers."""
    import tensorflow as tf

    sources = sorted(map(str, (ROOT / "custom_ops").rglob("*.cc")))
    command = ["g++", "-O1", "-g", "-fPIC", "-shared", "-ffp-contract=off", "-mavx2", "-mf16c"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize=vptr"]  # TensorFlow has no RTTI
    command += ["-fno-sanitize-recover=all", *tf.sysconfig.get_compile_flags(), *sources]
    command += [*tf.sysconfig.get_link_flags(), "-o", str(Path(folder, "ops.so"))]
    subprocess.run(command, check=True)
    return command[-1]


class Fuzzer:
    """Draws calls and judges their outcome."""

    def __init__(self, library, seed):
        import tensorflow as tf

        self.tf, self.ops = tf, tf.load_op_library(library)
        self.rng = np.random.default_rng(seed)
        self.graphs, self.refused, self.calls = {}, 0, 0
        self.dtypes = [tf.float32, tf.float64, tf.float16, tf.bfloat16]

    def one(self):
        """A forward call of an op, and one of its gradient with shapes of its own."""
        kind = self.rng.integers(4)
        return (self.psroi_align, self.roi_align, self.roi_pool, self.best_pair)[kind]()

    def run(self, name, fits, inputs, attributes):
        """The outputs of a call, None where it was rightly refused."""
        self.calls += 1
        function = getattr(self.ops, name)
        if self.rng.random() < 0.2:
            key = f"{name} {attributes} {[value.dtype for value in inputs]}"
            if key not in self.graphs:
                if len(self.graphs) == 1000:
                    self.graphs.clear()
                unknown = [self.tf.TensorSpec(None, value.dtype) for value in inputs]
                self.graphs[key] = self.tf.function(
                    lambda *values: function(*values, **attributes), input_signature=unknown
                )
            call = self.graphs[key]
        else:
            call = lambda *values: function(*values, **attributes)  # noqa: E731
        said = f"{name} {[value.shape for value in inputs]} {attributes}"
        try:
            outputs = call(*inputs)
        except self.tf.errors.InvalidArgumentError as error:
            assert not fits, f"{said}: refused: {error}"
            self.refused += 1
            return None
        assert fits, f"{said}: not refused"
        return outputs

    def numbers(self, *shape):
        """Numbers of one kind: plain, or some of them odd."""
        values = self.rng.normal(size=shape) * 10.0 ** self.rng.integers(-2, 3)
        if self.rng.random() < 0.4:
            odd = self.rng.random(shape) < self.rng.choice([0.05, 0.5])
            values = np.where(odd, self.rng.choice(ODD, shape), values)
        return values.astype(np.float32)

    def pick(self, *choices, odd=()):
        """One of the choices, rarely an odd one."""
        pool = odd if odd and self.rng.random() < 0.03 else choices
        return pool[self.rng.integers(len(pool))]

    def maps_and_boxes(self, channels):
        """(features, boxes, whether they fit each other)."""
        batch, height, width = (int(self.pick(*range(first, 8))) for first in (0, 1, 1))
        height, width = self.pick(height, odd=(0,)), self.pick(width, odd=(0, 70000))
        shape = self.pick([batch, height, width, channels], odd=([height, width], [2], []))
        own = [batch, int(self.rng.integers(0, 9)), 4]
        boxes = self.pick(own, odd=([batch + 1, 2, 4], [batch, 2, 5], [4], [batch, 4], [0, 0, 0]))
        dtype = self.dtypes[self.rng.integers(4)]
        features = self.tf.cast(self.numbers(*shape), dtype)
        fits = len(shape) == 4 and height > 0 and width > 0 and boxes == own
        return features, self.tf.constant(self.numbers(*boxes)), fits

    def judge(self, features, pooled, shape):
        """Fails for a wrong shape, or for numbers that are not of the map."""
        assert pooled.shape == shape, f"{pooled.shape} instead of {shape}"
        values = self.tf.cast(features, self.tf.float32).numpy()
        if np.isfinite(values).all() and np.abs(values).max(initial=0) < 1e4:
            assert np.isfinite(self.tf.cast(pooled, self.tf.float32)).all(), "NaN from numbers"

    def psroi_align(self):
        attributes = {
            "group_size": self.pick(1, 2, 3, 7, odd=(33, 2**31 - 1)),
            "spatial_scale": self.pick(1.0, 1 / 16, odd=(float("nan"), float("inf"), -1.0, 0.0)),
            "sampling_ratio": self.pick(1, 2, 3, 16, odd=(17,)),
            "pool": self.pick("avg", "max"),
            "aligned": self.pick(True, False),
            "channel_order": self.pick("bin_major", "channel_major"),
        }
        group = attributes["group_size"]
        possible = group <= 32 and attributes["sampling_ratio"] <= 16
        possible &= 0 < attributes["spatial_scale"] < float("inf")
        depth = (group**2 if group <= 32 else 9) * self.pick(1, 2, 3, 9, odd=(0,))
        depth += self.pick(0, odd=(1,)) * (group > 1)
        features, boxes, fits = self.maps_and_boxes(int(depth))
        fits = fits and possible and depth > 0 and depth % group**2 == 0
        outputs = self.run("lhrcnn_ps_roi_align", fits, [features, boxes], attributes)
        if outputs is None:
            return
        shape = [*boxes.shape[:2], group, group, depth // group**2]
        self.judge(features, outputs.pooled, shape)
        wrong = self.pick(False, odd=(True,))
        gradient = self.tf.cast(self.numbers(*(shape[:-1] if wrong else shape)), features.dtype)
        winners = outputs.argmax
        if self.rng.random() < 0.2:  # of no forward call
            winners = self.tf.constant(self.rng.integers(0, 256, winners.shape), self.tf.uint8)
        inputs = [gradient, boxes, self.tf.shape(features), winners]
        found = self.run("lhrcnn_ps_roi_align_grad", not wrong, inputs, attributes)
        assert found is None or found.shape == features.shape

    def pooling(self, name, attributes, possible):
        features, boxes, fits = self.maps_and_boxes(int(self.rng.integers(0, 5)))
        fits = fits and possible
        pooled = self.run(name, fits, [features, boxes], attributes)
        if pooled is None:
            return
        size = attributes["size"]
        shape = [*boxes.shape[:2], size, size, features.shape[3]]
        self.judge(features, pooled, shape)
        wrong = self.pick(False, odd=(True,))
        gradient = self.tf.cast(self.numbers(*(shape[:-1] if wrong else shape)), features.dtype)
        found = self.run(f"{name}_grad", not wrong, [features, boxes, gradient], attributes)
        assert found is None or found.shape == features.shape

    def roi_align(self):
        size, samples = self.pick(1, 2, 7, odd=(1025, 2**31 - 1)), self.pick(0, 1, 2, odd=(1025,))
        scale = self.pick(1.0, 1 / 16, 1e-30, odd=(float("nan"), float("inf"), -1.0))
        attributes = {"size": size, "spatial_scale": scale, "sampling_ratio": samples}
        attributes["aligned"] = self.pick(True, False)
        possible = size <= 1024 and samples <= 1024 and 0 < scale < float("inf")
        self.pooling("lhrcnn_roi_align", attributes, possible)

    def roi_pool(self):
        size = self.pick(1, 2, 7, odd=(1025, 2**31 - 1))
        scale = self.pick(1.0, 1 / 16, 1e30, odd=(float("nan"), float("inf"), -1.0))
        possible = size <= 1024 and 0 < scale < float("inf")
        self.pooling("lhrcnn_roi_pool", {"size": size, "spatial_scale": scale}, possible)

    def best_pair(self):
        inside, borders = self.pick((True, True), (True, False), (False, True), (False, False))
        attributes = {
            "limit": self.pick(20.0, 0.0, odd=(float("nan"), float("inf"))),
            "inside": inside,
        }
        attributes["borders"] = borders
        rows, cells = inside + 2 * borders, int(self.rng.integers(2, 40))
        own = [int(self.rng.integers(0, 20)), rows, cells]
        shape = self.pick(own, odd=([3, rows + 1, 5], [3, rows, 1], [3, rows, 0], [4], [rows, 7]))
        terms = self.tf.constant(self.numbers(*shape))
        fits = shape == own and (inside or borders)
        found = self.run("lhrcnn_best_pair", fits, [terms], attributes)
        if found is not None:
            first, last = found.numpy().T
            assert (np.isnan(first) | (first < last) & (first >= 0) & (last < cells)).all()


def fuzz(calls, seed):
    """Runs the calls in this process."""
    fuzzer = Fuzzer(os.environ[LIBRARY], seed)
    for number in itertools.count():
        if fuzzer.calls >= calls:
            break
        try:
            fuzzer.one()
        except AssertionError as error:
            sys.exit(f"call {number} of seed {seed}: {error}")
        if number % 50000 == 49999:
            print(f"{fuzzer.calls} calls, {fuzzer.refused} refused", flush=True)
    print(f"{fuzzer.calls} calls of seed {seed}, {fuzzer.refused} rightly refused, no report")


def main():
    """Builds the library, then runs this file again under the sanitizers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if LIBRARY in os.environ:
        return fuzz(options.calls, options.seed)
    import emulate

    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            LIBRARY: build(folder),
            "LD_PRELOAD": ":".join(emulate.runtime("address")),
            "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        command = [sys.executable, __file__, *sys.argv[1:]]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
