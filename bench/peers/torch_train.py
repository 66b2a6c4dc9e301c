"""A whole training step of Hugging Face's Llama with the patch loss, in PyTorch: the peer that `bench` runs beside us.

    python bench/peers/torch_train.py --hidden 256 --intermediate 688 --layers 6 --heads 4 --vocab 8192 \
        --patch-size 4 --sequence-length 256 --tokens-per-step 16384 --precision bf16 --threads 2

A step is: embed, average K embeddings in fp32, transformer (SDPA), head, loss, backward, over as many micro-batches
as the step's tokens need; then clip to norm 1 and a fused AdamW update. With several or `auto` for `--micro-batch` and
with `--loss auto` it times the choices first and runs the fastest. Tokens are uniformly random: only time is measured.

Prints one JSON object on stdout: `secondsPerStep` is the median of `steps`, `loss` the last step's, in nats per token;
`tried` has what was timed before, in seconds per token of one forward and backward pass.
"""

import argparse
import contextlib
import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama import modeling_llama

from freed_memory import keep_freed_memory

# While it is traced for torch.compile, transformers builds a causal mask, and a mask keeps SDPA from its flash kernels.
# All sequences here are whole, so none is needed: without one SDPA is told that attention is causal.
modeling_llama.create_causal_mask = lambda *args, **kwargs: None


def cross_entropy_per_label(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The mean of K cross-entropies. logits: [N, V] fp32; labels: [N, K]."""
    patch_size = labels.shape[1]
    return sum(F.cross_entropy(logits, labels[:, j]) for j in range(patch_size)) / patch_size


def one_log_softmax(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return -F.log_softmax(logits, dim=-1).gather(1, labels).mean()


def one_logsumexp(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return (torch.logsumexp(logits, dim=-1) - logits.gather(1, labels).mean(dim=1)).mean()


LOSSES = {
    "cross_entropy_per_label": cross_entropy_per_label,
    "one_log_softmax": one_log_softmax,
    "one_logsumexp": one_logsumexp,
}


class Step:
    """The model, its optimizer and the work of one training step."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.device = torch.device(args.device)
        config = LlamaConfig(
            hidden_size=args.hidden,
            intermediate_size=args.intermediate,
            num_hidden_layers=args.layers,
            num_attention_heads=args.heads,
            num_key_value_heads=args.kv_heads or args.heads,
            vocab_size=args.vocab,
            max_position_embeddings=args.sequence_length,
            attn_implementation="sdpa",
        )
        torch.manual_seed(1)
        dtype = torch.bfloat16 if args.precision == "bf16-pure" else torch.float32
        with self.device:  # filling it on a CPU takes longer than the steps
            self.model = LlamaForCausalLM(config).to(dtype).train()
        matrices = [parameter for parameter in self.model.parameters() if parameter.ndim >= 2]
        vectors = [parameter for parameter in self.model.parameters() if parameter.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            lr=3e-4, betas=(0.9, 0.95), eps=1e-8, fused=True,
        )
        self.compiled = {}
        # Each micro-batch size and loss tried is one compilation; past the limit PyTorch would quietly not compile.
        torch._dynamo.config.recompile_limit = 64

    def forward(self, ids: torch.Tensor, loss_name: str) -> torch.Tensor:
        """ids: [B, T*K]. The mean loss in nats per token."""
        patch_size = self.args.patch_size
        batch, positions = ids.shape[0], ids.shape[1] // patch_size
        embeddings = self.model.model.embed_tokens(ids)
        if patch_size > 1:
            embeddings = embeddings.view(batch, positions, patch_size, -1).float().mean(2).to(embeddings.dtype)
        hidden = self.model.model(inputs_embeds=embeddings, use_cache=False).last_hidden_state
        logits = self.model.lm_head(hidden[:, :-1]).flatten(0, 1).float()
        labels = ids.view(batch, positions, patch_size)[:, 1:].flatten(0, 1)
        return LOSSES[loss_name](logits, labels)

    def forward_backward(self, ids: torch.Tensor, loss_name: str, share: float) -> torch.Tensor:
        forward = self.forward
        if self.args.compile:
            if loss_name not in self.compiled:
                self.compiled[loss_name] = torch.compile(self.forward, dynamic=False)
            forward = self.compiled[loss_name]
        autocast = contextlib.nullcontext()
        if self.args.precision == "bf16":
            autocast = torch.autocast(self.device.type, torch.bfloat16)
        with autocast:
            loss = forward(ids, loss_name) * share
        loss.backward()
        return loss.detach()

    def run(self, ids: torch.Tensor, micro_batch: int, loss_name: str) -> torch.Tensor:
        """One whole step on ids: [sequences, T*K]."""
        parts = ids.split(micro_batch)
        loss = sum(self.forward_backward(part, loss_name, 1 / len(parts)) for part in parts)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss

    def synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def seconds_per_token(step: Step, ids: torch.Tensor, micro_batch: int, loss_name: str) -> float | None:
    """The best of three forward-backward passes over one micro-batch; None where memory does not reach."""
    times = []
    try:
        for _ in range(4):
            started = time.perf_counter()
            step.forward_backward(ids[:micro_batch], loss_name, 1.0)
            step.synchronize()
            times.append(time.perf_counter() - started)
    except torch.cuda.OutOfMemoryError:
        return None
    finally:
        step.model.zero_grad(set_to_none=True)
    return min(times[1:]) / (micro_batch * ids.shape[1])


def choose(step: Step, ids: torch.Tensor) -> tuple[int, str, list[dict]]:
    """The fastest micro-batch size and loss, and everything that was timed.

    Sizes grow until one is a quarter slower than the best, or memory ends.
    """
    args, tried = step.args, []
    sizes = args.micro_batch
    if sizes == "auto":
        sizes = [size for size in (1, 2, 4, 8, 16, 32, 64, 128) if ids.shape[0] % size == 0]
    names = list(LOSSES) if args.loss == "auto" else [args.loss]
    if len(sizes) == 1 and len(names) == 1:
        return sizes[0], names[0], tried
    best = math.inf
    for size in sizes:
        timed = [(seconds_per_token(step, ids, size, name), name) for name in names]
        fitting = [(seconds, name) for seconds, name in timed if seconds is not None]
        tried += [{"microBatch": size, "loss": name, "secondsPerToken": seconds} for seconds, name in fitting]
        fastest = min(fitting, default=(math.inf, ""))[0]
        if fastest > 1.25 * best or not fitting:
            break
        best = min(best, fastest)
    if not tried:
        raise SystemExit(f"a micro-batch of {sizes[0]} sequences does not fit into memory")
    choice = min(tried, key=lambda entry: entry["secondsPerToken"])
    return choice["microBatch"], choice["loss"], tried


def parse() -> argparse.Namespace:
    def micro_batches(text: str) -> list[int] | str:
        return text if text == "auto" else [int(size) for size in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("hidden", "intermediate", "layers", "heads", "vocab", "sequence-length", "tokens-per-step"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--kv-heads", type=int, help="default: as many as --heads")
    parser.add_argument("--patch-size", type=int, default=1)
    parser.add_argument("--micro-batch", type=micro_batches, default="auto",
                        help="sequences, several sizes to choose from (8,16), or auto")
    parser.add_argument("--loss", choices=[*LOSSES, "auto"], default="auto")
    parser.add_argument("--precision", choices=["fp32", "bf16", "bf16-pure"], default="fp32",
                        help="bf16: autocast over fp32 weights; bf16-pure: weights and moments in bf16")
    parser.add_argument("--threads", type=int, help="default: PyTorch's own choice")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--compile", action="store_true", help="torch.compile the forward and backward pass")
    args = parser.parse_args()
    per_sequence = args.patch_size * args.sequence_length
    if args.tokens_per_step % per_sequence:
        parser.error(f"--tokens-per-step {args.tokens_per_step} is not a multiple of"
                     f" patch-size * sequence-length = {per_sequence}")
    sequences = args.tokens_per_step // per_sequence
    for size in args.micro_batch if args.micro_batch != "auto" else []:
        if sequences % size:
            parser.error(f"--micro-batch {size} does not divide the step's {sequences} sequences")
    return args


def main() -> None:
    args = parse()
    keep_freed_memory()
    if args.threads:
        torch.set_num_threads(args.threads)
    step = Step(args)
    per_sequence = args.patch_size * args.sequence_length
    shape = (args.tokens_per_step // per_sequence, per_sequence)
    batches = [torch.randint(args.vocab, shape, device=step.device) for _ in range(args.warmup + args.steps)]
    micro_batch, loss_name, tried = choose(step, batches[0])
    if step.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(step.device)
    print(f"micro-batch {micro_batch}, loss {loss_name}", file=sys.stderr)

    seconds, loss = [], None
    for ids in batches:
        step.synchronize()
        started = time.perf_counter()
        loss = step.run(ids, micro_batch, loss_name)
        step.synchronize()
        seconds.append(time.perf_counter() - started)
    seconds = seconds[args.warmup :]
    median = statistics.median(seconds)
    result = {
        "tokensPerSecond": args.tokens_per_step / median,
        "secondsPerStep": median,
        "precision": args.precision,
        "patchSize": args.patch_size,
        "microBatch": micro_batch,
        "lossImplementation": loss_name,
        "compile": args.compile,
        "device": torch.cuda.get_device_name(step.device) if step.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "steps": seconds,
        "loss": loss.item() if math.isfinite(loss.item()) else None,
        "tried": tried,
    }
    if step.device.type == "cuda":
        result["peakBytes"] = torch.cuda.max_memory_allocated(step.device)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
