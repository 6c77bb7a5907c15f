"""Times of the CUDA kernels beside torchvision's ps_roi_align, on one GPU; never run so far.

  python time_gpu.py        needs nvcc, PyTorch with CUDA, torchvision

Both get the same maps of 50 x 75 cells and 490 channels (7 x 7 bins of 10), 2 samples along a side.
Launches alternate; a time is the median of ROUNDS, by CUDA events. "of copy": bytes that must be
moved at least (map and pooled boxes) a second, over what a copy on the device moves.
"""

import ctypes
import statistics
import tempfile

import check_launcher
import torch
import torchvision

ROUNDS, HEIGHT, WIDTH, CHANNELS, GROUP, SAMPLES = 30, 50, 75, 10, 7, 2
CASES = [(2, 1000), (8, 2000)]  # images, boxes of each
TYPES = {"float32": torch.float32, "float16": torch.float16}


def medians(functions):
    """Milliseconds of each function, called in turn."""
    times = [[] for _ in functions]
    for round_number in range(ROUNDS + 3):  # three to warm up
        for function, own in zip(functions, times):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            function()
            end.record()
            torch.cuda.synchronize()
            if round_number >= 3:
                own.append(begin.elapsed_time(end))
    return [statistics.median(own) for own in times]


def ours(library, batch, boxes, features, gradient, name):
    """(forward, backward, deterministic backward) of the launcher, on PyTorch's stream."""
    params = check_launcher.Params(
        batch, HEIGHT, WIDTH, boxes.shape[1], CHANNELS, GROUP, SAMPLES, 1 / 16, 0, 0, 0
    )
    pooled, result = torch.empty_like(gradient), torch.empty_like(features)
    argmax = torch.empty(0, dtype=torch.uint8, device="cuda")
    sums = result if name == "float32" else torch.empty(features.shape, device="cuda")
    stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)

    def call(function, tensors, *flags):
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        kind = check_launcher.DATA_TYPES[name]
        check_launcher.call(
            library, function, ctypes.byref(params), kind, *pointers, *flags, stream
        )

    back = (gradient, boxes, argmax, sums, result)
    return (
        lambda: call("LhrcnnPsRoiAlignForward", (features, boxes, pooled, argmax)),
        lambda: call("LhrcnnPsRoiAlignBackward", back, 0),
        lambda: call("LhrcnnPsRoiAlignBackward", back, 1),
    )


def theirs(boxes, features, gradient):
    """(forward, backward) of torchvision, whose maps are [B, C, H, W], boxes (x, y, x, y)."""
    maps = features.permute(0, 3, 1, 2).contiguous().requires_grad_()
    listed = [own[:, [1, 0, 3, 2]].to(maps.dtype) for own in boxes]
    own_gradient = gradient.reshape(-1, GROUP, GROUP, CHANNELS).permute(0, 3, 1, 2).contiguous()

    def forward():
        return torchvision.ops.ps_roi_align(maps, listed, GROUP, 1 / 16, SAMPLES)

    pooled = forward()
    return forward, lambda: torch.autograd.grad(pooled, maps, own_gradient, retain_graph=True)


def case(library, batch, number, name):
    """A line of the table."""
    torch.manual_seed(0)
    depth = CHANNELS * GROUP**2
    features = torch.randn(batch, HEIGHT, WIDTH, depth, device="cuda").to(TYPES[name])
    corner = torch.rand(batch, number, 2, device="cuda") * 700
    boxes = torch.cat([corner, corner + 20 + 300 * torch.rand_like(corner)], -1).contiguous()
    gradient = torch.randn(batch, number, depth, device="cuda").to(TYPES[name])
    copied = torch.empty_like(gradient)
    forward, backward, ordered, peer_forward, peer_backward, copy = medians(
        [
            *ours(library, batch, boxes, features, gradient, name),
            *theirs(boxes, features, gradient),
            lambda: copied.copy_(gradient),
        ]
    )
    size = gradient.element_size()
    rate = (features.numel() + gradient.numel()) * size / forward
    copy_rate = 2 * gradient.numel() * size / copy
    print(
        f"| {name} | {number} x {batch} | {forward:.3f} | {peer_forward / forward:.2f} | "
        f"{backward:.3f} | {peer_backward / backward:.2f} | {ordered / backward:.2f} | "
        f"{rate / copy_rate:.2f} |",
        flush=True,
    )


def main():
    """Prints the table."""
    print(torch.cuda.get_device_name(), torch.__version__, torchvision.__version__)
    print("| type | boxes x images | forward ms | torchvision / ours | backward ms |", end="")
    print(" torchvision / ours | deterministic / plain | of copy |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        library = ctypes.CDLL(str(check_launcher.compile_library(folder)))
        library.LhrcnnPsRoiAlignErrorName.restype = ctypes.c_char_p
        for name in TYPES:
            for batch, number in CASES:
                case(library, batch, number, name)


if __name__ == "__main__":
    main()
