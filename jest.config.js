/** @type {import("jest").Config} */
export default {
  testEnvironment: "node",
  roots: ["<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  // Projects that test:package installs the package in.
  testPathIgnorePatterns: ["/node_modules/", "<rootDir>/test/package/environments/"],
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
