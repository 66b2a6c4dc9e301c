"""Turns JSONL into a token shard with Hugging Face's tokenizers, as `nextpatch prepare --val-fraction 0` does.

    python bench/peers/prepare.py TEXTS.jsonl --tokenizer tokenizer.json --out train_000000.bin

Every document is what the post-processor makes of it, behind the end-of-text token unless it begins with it. Documents
are encoded in batches, `encode_batch_fast`, on as many threads as RAYON_NUM_THREADS says. Its last line is JSON.
"""

import argparse
import array
import itertools
import json
import resource
import struct

import tokenizers
from tokenizers import Tokenizer

BATCH = 1000


def batches(path):
    with open(path, encoding="utf-8") as lines:
        texts = (json.loads(line)["text"] for line in lines)
        while batch := list(itertools.islice(texts, BATCH)):
            yield batch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--end-of-text", default="<|endoftext|>")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    tokenizer = Tokenizer.from_file(args.tokenizer)
    separator = tokenizer.token_to_id(args.end_of_text)
    wide = tokenizer.get_vocab_size() > 2**16
    tokens = 0
    with open(args.out, "wb") as shard:
        shard.write(bytes(1024))
        for batch in batches(args.file):
            out = array.array("I" if wide else "H")
            for text, encoding in zip(batch, tokenizer.encode_batch_fast(batch)):
                if text == "":
                    continue
                ids = encoding.ids
                if ids[:1] != [separator]:
                    out.append(separator)
                out.extend(ids)
            out.tofile(shard)
            tokens += len(out)
        magic, version = (20240801, 7) if wide else (20240520, 1)
        shard.seek(0)
        shard.write(struct.pack("<3i", magic, version, tokens))
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"tokenizers": tokenizers.__version__, "tokens": tokens, "megabytes": megabytes}))


if __name__ == "__main__":
    main()
