/** Tests of about ten seconds and more that seldom fail alone: `npm run test:slow`, and not `npm test`, which is short. */
const slow = [
  "test/bench/gpu_quick.test.ts",
  "test/check/check.test.ts",
  "test/cli/build.test.ts",
  "test/cli/check.test.ts",
  "test/cli/devices.test.ts",
  "test/cli/eval.test.ts",
  "test/cli/generate.test.ts",
  "test/cli/hostile_files.test.ts",
  "test/cli/pipeline.test.ts",
  "test/cli/prepare.test.ts",
  "test/cli/ranks.test.ts",
  "test/cli/signals.test.ts",
  "test/cli/tune.test.ts",
  "test/cli/usage.test.ts",
  "test/cli/without_addon.test.ts",
  "test/compare/command.test.ts",
  "test/compare/compare.test.ts",
  "test/compare/evaluation.test.ts",
  "test/compare/final_models.test.ts",
  "test/compare/recipes.test.ts",
  "test/compare/tune.test.ts",
  "test/data/bpe/references.test.ts",
  "test/data/encode/exact.test.ts",
  "test/data/given_documents.test.ts",
  "test/data/parts.test.ts",
  "test/data/prepare.test.ts",
  "test/data/prompts.test.ts",
  "test/guides/guides.test.ts",
  "test/native/liveness.test.ts",
  "test/native/queue.test.ts",
  "test/native/rendezvous.test.ts",
  "test/ranks/hosts.test.ts",
  "test/ranks/leaving.test.ts",
  "test/ranks/more_liveness.test.ts",
  "test/ranks/more_ranks.test.ts",
  "test/ranks/more_training.test.ts",
  "test/ranks/nccl.test.ts",
  "test/ranks/simt_training.test.ts",
  "test/reference/run.test.ts",
  "test/reference/written.test.ts",
  "test/repository/surface.test.ts",
  "test/train/checkpoint.test.ts",
  "test/train/data_identity.test.ts",
  "test/train/extension.test.ts",
  "test/train/freeze.test.ts",
  "test/train/data_mix.test.ts",
  "test/train/going_back.test.ts",
  "test/train/health.test.ts",
  "test/train/loss_mask.test.ts",
  "test/train/memory.test.ts",
  "test/train/memory_data.test.ts",
  "test/train/resume.test.ts",
  "test/train/run_checkpoints.test.ts",
  "test/train/run_metrics.test.ts",
  "test/train/run_report.test.ts",
  "test/train/steering.test.ts",
  "test/types/wrong.test.ts",
].map((path) => `<rootDir>/${path}`);

/** `quick` leaves the slow tests out, `slow` leaves the others out. Without it all run. */
const wanted = process.env.NEXTPATCH_TESTS;
if (![undefined, "quick", "slow"].includes(wanted)) {
  throw new Error(`NEXTPATCH_TESTS: expected quick or slow but received ${wanted}`);
}

/** @type {import("jest").Config} */
export default {
  testEnvironment: "node",
  roots: ["<rootDir>/test"],
  testMatch: wanted === "slow" ? slow : ["**/*.test.ts"],
  testPathIgnorePatterns: [
    "/node_modules/",
    // Projects that test:package installs the package in.
    "<rootDir>/test/package/environments/",
    ...(wanted === "quick" ? slow : []),
  ],
  extensionsToTreatAsEsm: [".ts"],
  moduleNameMapper: {
    "^(\\.{1,2}/.*)\\.js$": "$1",
    // As in tsconfig.json.
    "^nextpatch$": "<rootDir>/lib/index.ts",
    "^nextpatch/kernels$": "<rootDir>/lib/kernels.ts",
  },
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "es6" } },
    ],
  },
  // As many processes as processors: jest's own choice leaves one free, which on two cores means one process.
  maxWorkers: "100%",
  testTimeout: 120_000,
};
