/**
 * `npm run bench`: kernels and training steps; `npm run bench -- prepare`: text to token shards; `npm run bench -- loader`:
 * reading them.
 */
const [, , name = ""] = process.argv;
await import(["prepare", "loader"].includes(name) ? `./${name}.js` : "./run.js");
