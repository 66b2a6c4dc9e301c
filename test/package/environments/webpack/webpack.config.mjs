export default {
  mode: "production",
  target: "node20",
  entry: "./main.mjs",
  experiments: { outputModule: true },
  externals: { nextpatch: "module nextpatch", "nextpatch/kernels": "module nextpatch/kernels" },
  output: { path: import.meta.dirname, filename: "out.mjs", module: true, chunkFormat: "module" },
};
