export default {
  input: "main.mjs",
  external: [/^node:/, /^nextpatch(\/|$)/],
  output: [
    { file: "out/bundle.mjs", format: "es" },
    { file: "out/bundle.cjs", format: "cjs" },
  ],
};
