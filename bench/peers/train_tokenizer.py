"""Trains a BPE vocabulary with Hugging Face's tokenizers, with the settings of `nextpatch prepare --train-tokenizer`.

    python bench/peers/train_tokenizer.py --vocab 32000 [--split-digits] [--byte-fallback] TEXTS.jsonl

Its last line is JSON: seconds, the version of tokenizers, and the SHA-256 of the merges, written one a line.
RAYON_NUM_THREADS says how many threads it has.
"""

import argparse
import collections
import hashlib
import json
import resource
import time

import tokenizers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

COVERAGE = 0.9995
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def train(texts, vocab, special=(), split_digits=False, byte_fallback=False):
    """Returns the model of the trained tokenizer.json; `texts` can be gone through more than once."""
    digits = [pre_tokenizers.Digits(individual_digits=True)] if split_digits else []
    if byte_fallback:
        # SentencePiece's view of a text: blanks begin words, line breaks are in none.
        blanks = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
        splitter = pre_tokenizers.Sequence([blanks, pre_tokenizers.Split("\n", "removed"), *digits])
        first = ["<unk>", "<s>", "</s>", *special, *BYTES]
        alphabet = covering(texts, splitter)
    else:
        splitter = pre_tokenizers.Sequence([*digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        first = ["<|endoftext|>", *special]
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = splitter
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=first,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())["model"]


def covering(texts, splitter):
    """The most frequent characters that make up COVERAGE of the words."""
    counts = collections.Counter()
    for text in texts:
        for word, _ in splitter.pre_tokenize_str(text):
            counts.update(word)
    kept = ["▁"]
    covered = counts["▁"]
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= COVERAGE * counts.total():
            break
        if character != "▁":
            kept.append(character)
            covered += count
    return kept


def digest(merges):
    """SHA-256 of merges."""
    return hashlib.sha256("\n".join(" ".join(pair) for pair in merges).encode()).hexdigest()


class Jsonl:
    """The texts of a JSONL file, read anew each time."""

    def __init__(self, path):
        self.path = path

    def __iter__(self):
        with open(self.path, encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["text"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--vocab", type=int, required=True)
    parser.add_argument("--split-digits", action="store_true")
    parser.add_argument("--byte-fallback", action="store_true")
    args = parser.parse_args()
    start = time.perf_counter()
    model = train(Jsonl(args.file), args.vocab, split_digits=args.split_digits, byte_fallback=args.byte_fallback)
    seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"seconds": seconds, "megabytes": megabytes, "merges": digest(model["merges"])}
    print(json.dumps({"tokenizers": tokenizers.__version__, **result}))


if __name__ == "__main__":
    main()
