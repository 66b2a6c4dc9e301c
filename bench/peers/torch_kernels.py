"""The same operations in PyTorch, at the shapes that `nextpatch bench kernels --json` timed, on the same device.

    node dist/cli/main.js bench kernels --device cuda --json > ours.json
    python bench/peers/torch_kernels.py --like ours.json --device cuda > theirs.json

Each operation is timed in every variant a PyTorch user would reach for: scaled_dot_product_attention with each of its
backends; the loss as log_softmax and K nll_loss; embedding and mean; plain and compiled. A variant that cannot take a
shape is listed with the reason in place of a time. As in our own timing, inputs are random, rotated over several sets
where a cache could hold one, and the median over batches of at least 50 ms counts; on a GPU the time is between two
CUDA events. `launchBound` marks a batch whose launches took the host about as long as the device took to run it: such
a time is the host's.

Prints one JSON object: {device, torch, dtype, kernels: [{name, shape, variant, seconds, launchBound} or
{name, shape, variant, problem}]}; names and shapes are those of the file given.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from freed_memory import keep_freed_memory

BATCH_SECONDS = 0.05
BATCHES = 5
ROTATED_BYTES = {"cuda": 256 << 20, "cpu": 64 << 20}

# One set of inputs: enqueues one call.
Call = Callable[[], object]


class Bench:
    """Makes inputs and times calls on one device."""

    def __init__(self, device: torch.device, dtype: torch.dtype):
        self.device, self.dtype = device, dtype

    def normal(self, *shape: int, grad: bool = False, dtype: torch.dtype | None = None) -> torch.Tensor:
        return torch.randn(shape, device=self.device, dtype=dtype or self.dtype).requires_grad_(grad)

    def ids(self, *shape: int, below: int) -> torch.Tensor:
        return torch.randint(below, shape, device=self.device)

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def batch(self, calls: list[Call], rounds: int) -> tuple[float, float]:
        """Seconds that the device, and that the host took for `rounds` times all calls."""
        self.synchronize()
        events = None
        if self.device.type == "cuda":
            events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            events[0].record()
        started = time.perf_counter()
        for _ in range(rounds):
            for call in calls:
                call()
        enqueued = time.perf_counter() - started
        if events is None:
            return enqueued, 0.0
        events[1].record()
        self.synchronize()
        return events[0].elapsed_time(events[1]) / 1000, enqueued

    def seconds(self, prepare: Callable[[], Call], set_bytes: int) -> dict:
        """Of one call, over as many sets of inputs as a cache could hold."""
        sets = min(32, max(1, -(-ROTATED_BYTES[self.device.type] // set_bytes)))
        calls = [prepare() for _ in range(sets)]
        for call in calls[:1] * 3:  # compilation, and the choice of algorithms
            call()
        once, _ = self.batch(calls, 1)
        rounds = max(1, round(BATCH_SECONDS / once + 0.5))
        timed = [self.batch(calls, rounds) for _ in range(BATCHES)]
        device = statistics.median(seconds for seconds, _ in timed)
        host = statistics.median(seconds for _, seconds in timed)
        return {"seconds": device / (rounds * sets), "launchBound": host > 0.9 * device}


def compiled(function: Callable) -> Callable:
    return torch.compile(function, dynamic=False)


def backward_of(output: torch.Tensor, inputs: list[torch.Tensor], gradient: torch.Tensor) -> Call:
    """Only the backward pass: the graph is kept, and gradients are returned rather than added to `.grad`."""
    return lambda: torch.autograd.grad(output, inputs, gradient, retain_graph=True)


def attention(bench: Bench, shape: dict, backward: bool):
    B, T, H, G, D = (shape[letter] for letter in "BTHGD")

    def prepare(backend: SDPBackend) -> Call:
        q = bench.normal(B, H, T, D, grad=backward)
        k, v = (bench.normal(B, G, T, D, grad=backward) for _ in range(2))

        def forward() -> torch.Tensor:
            with sdpa_kernel(backend):
                return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=G != H)

        return backward_of(forward(), [q, k, v], bench.normal(B, H, T, D)) if backward else forward

    backends = {
        "flash": SDPBackend.FLASH_ATTENTION,
        "cudnn": SDPBackend.CUDNN_ATTENTION,
        "efficient": SDPBackend.EFFICIENT_ATTENTION,
        "math": SDPBackend.MATH,
    }
    for name, backend in backends.items():
        yield name, lambda backend=backend: prepare(backend)


def cross_entropy(bench: Bench, shape: dict):
    """Loss and gradient together, as our kernel makes them."""
    R, K, V = (shape[letter] for letter in "RKV")

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        log_probabilities = F.log_softmax(logits.float(), dim=-1)
        return sum(F.nll_loss(log_probabilities, labels[:, j]) for j in range(K)) / K

    def prepare(function: Callable) -> Call:
        logits, labels = bench.normal(R, V, grad=True), bench.ids(R, K, below=V)
        return lambda: torch.autograd.grad(function(logits, labels), logits)

    yield "log_softmax", lambda: prepare(loss)
    fused = compiled(loss)
    yield "log_softmax, compiled", lambda: prepare(fused)


def patch_embedding(bench: Bench, shape: dict, backward: bool):
    N, K, C, V = (shape[letter] for letter in "NKCV")

    def mean(tokens: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        rows = F.embedding(tokens, table)
        return rows[:, 0] if K == 1 else rows.float().mean(1).to(rows.dtype)

    def bag(tokens: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return F.embedding_bag(tokens, table, mode="mean")

    def prepare(function: Callable) -> Call:
        tokens, table = bench.ids(N, K, below=V), bench.normal(V, C, grad=backward)
        if not backward:
            return lambda: function(tokens, table)
        return backward_of(function(tokens, table), [table], bench.normal(N, C))

    yield "embedding, mean", lambda: prepare(mean)
    fused = compiled(mean)
    yield "embedding, mean, compiled", lambda: prepare(fused)
    if K > 1:
        yield "embedding_bag", lambda: prepare(bag)


def rmsnorm(bench: Bench, shape: dict, backward: bool):
    """Forward with the residual's addition; backward of the norm and its addition to the residual's gradient."""
    N, C = shape["N"], shape["C"]

    def norm(x: torch.Tensor, add: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        total = x + add
        return F.rms_norm(total, (C,), weight, 1e-5), total

    def prepare(function: Callable) -> Call:
        x, add = bench.normal(N, C, grad=backward), bench.normal(N, C)
        weight = bench.normal(C, grad=backward)
        if not backward:
            return lambda: function(x, add, weight)
        output, total = function(x, add, weight)
        gradients = (bench.normal(N, C), bench.normal(N, C))
        return lambda: torch.autograd.grad((output, total), (x, weight), gradients, retain_graph=True)

    yield "rms_norm", lambda: prepare(norm)
    fused = compiled(norm)
    yield "rms_norm, compiled", lambda: prepare(fused)


def matmul(bench: Bench, shape: dict):
    """NT, NN and TN as in training. PyTorch's products of bf16 give bf16, where ours of weights add up in f32."""
    M, N, K, op = (shape[letter] for letter in ("M", "N", "K", "op"))

    def prepare() -> Call:
        a = bench.normal(K, M).t() if op[0] == "T" else bench.normal(M, K)
        b = bench.normal(N, K).t() if op[1] == "T" else bench.normal(K, N)
        return lambda: torch.mm(a, b)

    yield "mm", prepare


def adamw(bench: Bench, shape: dict):
    """Fused AdamW on f32 parameters: without the rounded copy and the clipping that ours does in the same pass."""

    def prepare() -> Call:
        parameter = bench.normal(shape["n"], grad=True, dtype=torch.float32)
        parameter.grad = bench.normal(shape["n"], dtype=torch.float32)
        return torch.optim.AdamW([parameter], lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True).step

    yield "AdamW, fused", prepare


OPERATIONS = {
    "attention_forward": lambda bench, shape: attention(bench, shape, backward=False),
    "attention_backward": lambda bench, shape: attention(bench, shape, backward=True),
    "cross_entropy": cross_entropy,
    "patch_embedding_forward": lambda bench, shape: patch_embedding(bench, shape, backward=False),
    "patch_embedding_backward": lambda bench, shape: patch_embedding(bench, shape, backward=True),
    "rmsnorm_forward": lambda bench, shape: rmsnorm(bench, shape, backward=False),
    "rmsnorm_backward": lambda bench, shape: rmsnorm(bench, shape, backward=True),
    "matmul": matmul,
    "adamw": adamw,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--like", required=True, help="what `nextpatch bench kernels --json` printed")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, help="default: PyTorch's own choice")
    args = parser.parse_args()
    keep_freed_memory()
    with open(args.like, encoding="utf8") as file:
        like = json.load(file)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    # Each shape is one compilation; past the limit PyTorch would quietly not compile.
    torch._dynamo.config.recompile_limit = 64
    # Backward passes are repeated on one graph, so what forward has saved must not be given away to the first.
    torch._functorch.config.donated_buffer = False
    bench = Bench(torch.device(args.device), {"f32": torch.float32, "bf16": torch.bfloat16}[like["dtype"]])

    kernels = []
    for ours in like["kernels"]:
        name, shape = ours["name"], ours["shape"]
        if name not in OPERATIONS:
            continue
        for variant, prepare in OPERATIONS[name](bench, shape):
            entry = {"name": name, "shape": shape, "variant": variant}
            try:
                entry |= bench.seconds(prepare, ours["bytes"])
            except Exception as error:  # a backend that cannot take the shape, or memory that does not reach
                entry["problem"] = str(error).strip().split("\n")[0]
            kernels.append(entry)
            print(f"{name} {shape} {variant}: {entry.get('seconds', entry.get('problem'))}", file=sys.stderr)
            if bench.device.type == "cuda":
                torch.cuda.empty_cache()
    name = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else "cpu"
    print(json.dumps({"device": name, "torch": torch.__version__, "dtype": like["dtype"], "kernels": kernels}))


if __name__ == "__main__":
    main()
