"""Scores items as lm-evaluation-harness does with transformers: `npm run bench -- eval` runs it.

    python bench/peers/score.py ITEMS.jsonl --model DIR --threads 2 [--batch-size 8,16,32]

Requests are sorted by length, the longest first, and those with the same tokens before the last share a row, as in the
harness; a batch is padded behind, its logits are computed whole. Its last line is JSON: the seconds of each batch size,
tokenizing included and loading not, and the log-likelihoods.
"""

import argparse
import json
import os
import resource
import time

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--model", required=True)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--batch-size", default="8,16,32")
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

torch.set_num_threads(args.threads)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa").eval()
tokenizer = AutoTokenizer.from_pretrained(args.model)
with open(args.file, encoding="utf-8") as lines:
    items = [json.loads(line) for line in lines]


@torch.inference_mode()
def score(batch_size: int) -> list[list[float]]:
    pairs = [(item["query"], choice) for item in items for choice in item["choices"]]
    contexts = tokenizer([context for context, _ in pairs])["input_ids"]
    wholes = tokenizer([context + choice for context, choice in pairs])["input_ids"]
    rows: dict[tuple[int, ...], list[int]] = {}
    for index, whole in enumerate(wholes):
        rows.setdefault(tuple(whole[:-1]), []).append(index)
    order = sorted(rows, key=len, reverse=True)
    out = [0.0] * len(pairs)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        width = max(map(len, batch))
        ids = torch.tensor([list(row) + [0] * (width - len(row)) for row in batch])
        logits = torch.log_softmax(model(ids).logits.float(), dim=-1)
        for i, row in enumerate(batch):
            for index in rows[row]:
                whole, begin = wholes[index], len(contexts[index])
                targets = torch.tensor(whole[begin:])
                out[index] = float(logits[i, begin - 1 : len(whole) - 1].gather(1, targets[:, None]).sum())
    values = iter(out)
    return [[next(values) for _ in item["choices"]] for item in items]


seconds = {}
for size in map(int, args.batch_size.split(",")):
    started = time.perf_counter()
    result = score(size)
    seconds[size] = time.perf_counter() - started
print(
    json.dumps({
        "seconds": seconds,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "logLikelihoods": result,
    })
)
