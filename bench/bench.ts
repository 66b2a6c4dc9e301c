/**
 * `npm run bench`: kernels and training steps; `npm run bench -- prepare`: text to token shards; `npm run bench -- loader`:
 * reading them; `npm run bench -- eval`: scores of tasks; `npm run bench -- trials`: short runs of many settings.
 */
const others: Readonly<Record<string, string>> = {
  prepare: "./prepare.js",
  loader: "./loader.js",
  eval: "./score.js",
  trials: "./trials.js",
};
await import(others[process.argv[2] ?? ""] ?? "./run.js");
