"""Loads a model folder that nextpatch wrote in Hugging Face's transformers and compares the loss on held-out blocks.

    python bench/peers/check_hf_load.py --model runs/sotu-tiny/model --data data/sotu/val_000000.bin --blocks 8

It checks that
- `AutoTokenizer` and `AutoModelForCausalLM` load the folder as it is, with no weight missing and none left over;
- the tokenizer gives a text back after encoding and decoding, and knows the model's end-of-text token;
- the mean loss over the first consecutive blocks of the shard, in fp32 and in bf16, is what `nextpatch eval` says of
  the same blocks, within 1e-5 (fp32) and 2e-3 (bf16) relative; bf16 is left out with `--fp32-only`, for processors
  on which nextpatch does not compute in it.

Prints one JSON object. Exit code 1 where a check fails. `--nextpatch` is the command that runs nextpatch.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = {"fp32": 1e-5, "bf16": 2e-3}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
HEADER_BYTES = 256 * 4
TEXT = "The people of the United States — in 1790, and to-day."


def read_shard(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The header and the first `count` tokens of a shard in llm.c's format."""
    header = np.fromfile(path, dtype="<i4", count=256)
    kinds = {20240520: "<u2", 20240801: "<u4"}
    if len(header) < 256 or int(header[0]) not in kinds:
        sys.exit(f"{path}: not a token shard")
    if header[2] < count:
        sys.exit(f"{path}: holds {header[2]} tokens, fewer than the {count} asked for")
    return header, np.fromfile(path, dtype=kinds[int(header[0])], count=count, offset=HEADER_BYTES)


def transformers_loss(model: torch.nn.Module, blocks: torch.Tensor) -> float:
    """Mean over blocks [B, T] of transformers' own loss, each block by itself, summed in float64."""
    with torch.no_grad():
        return sum(model(block[None], labels=block[None]).loss.double().item() for block in blocks) / len(blocks)


def nextpatch_loss(command: str, model: Path, shard: Path, length: int, precision: str) -> float:
    arguments = ["--json", "eval", "--model", str(model), "--data", str(shard), "--device", "cpu",
                 "--sequence-length", str(length), "--precision", precision]
    done = subprocess.run([*shlex.split(command), *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"nextpatch eval failed: {done.stderr.strip()}")
    return json.loads(done.stdout)["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="a model folder or a checkpoint of a run")
    parser.add_argument("--data", type=Path, required=True, help="a shard to compare the loss on")
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--nextpatch", default="npx tsx lib/cli/main.ts",
                        help="default: from a clone of the repository")
    parser.add_argument("--fp32-only", action="store_true")
    args = parser.parse_args()

    header, tokens = read_shard(args.data, args.blocks * args.sequence_length)
    blocks = torch.from_numpy(tokens.astype(np.int64)).view(args.blocks, args.sequence_length)

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    text_kept = tokenizer.decode(tokenizer.encode(TEXT), skip_special_tokens=True) == TEXT
    result = {"model": str(args.model), "tokens": blocks.numel(), "tokenizerKeepsText": text_kept}
    passed = text_kept

    with tempfile.TemporaryDirectory() as folder:
        shard = Path(folder) / "val_000000.bin"
        header[2] = blocks.numel()
        shard.write_bytes(header.tobytes() + tokens.tobytes())
        for precision in ["fp32"] if args.fp32_only else ["fp32", "bf16"]:
            model, report = AutoModelForCausalLM.from_pretrained(
                args.model, dtype=DTYPES[precision], output_loading_info=True)
            missing, unexpected = sorted(report["missing_keys"]), sorted(report["unexpected_keys"])
            theirs = transformers_loss(model.eval(), blocks)
            ours = nextpatch_loss(args.nextpatch, args.model, shard, args.sequence_length, precision)
            difference = abs(ours - theirs) / theirs
            result[precision] = {"transformers": theirs, "nextpatch": ours, "relativeDifference": difference,
                                 "missing": missing, "unexpected": unexpected}
            passed &= difference <= TOLERANCE[precision] and not missing and not unexpected
    same_end = tokenizer.eos_token_id == model.config.eos_token_id
    result |= {"endOfTextAgrees": same_end, "passed": bool(passed and same_end)}
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
