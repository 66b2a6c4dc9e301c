/** The check of packages' libraries finds what would not load elsewhere. */
import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { expect, it } from "@jest/globals";
import { complaints, inspect } from "../../scripts/release/elf.js";
import { temporaryFolder } from "../support/temporary.js";

const path = temporaryFolder();
const entry = 'extern "C" __attribute__((visibility("default"))) int nextpatch_backend() { return 0; }\n';
/** The flags of native/release.cmake. */
const release = [
  "-static-libstdc++",
  "-static-libgcc",
  "-Wl,--exclude-libs,ALL",
  "-Wl,--as-needed",
  "-Wl,-rpath,$ORIGIN",
];

/** Compiles a library. */
function library(source: string, ...flags: string[]): string {
  const file = path("nextpatch_cuda.so");
  writeFileSync(path("source.cpp"), entry + source);
  execFileSync("c++", ["-shared", "-fPIC", "-fvisibility=hidden", "-o", file, path("source.cpp"), ...flags]);
  return file;
}

const throwing = `#include <string>
#include <stdexcept>
int fail(int x) { throw std::runtime_error(std::to_string(x)); }
__attribute__((used)) int (*keep)(int) = fail;
`;

it("takes a library that needs glibc alone", () => {
  const file = library("#include <cstdio>\n__attribute__((used)) int (*keep)(const char*) = puts;\n", ...release);
  expect(complaints(file, [], [path()])).toEqual([]);
  expect(inspect(file)).toMatchObject({ exported: ["nextpatch_backend"], needed: ["libc.so.6"], runpath: "$ORIGIN" });
});

it("finds a libstdc++ that is not static", () => {
  const found = complaints(library(throwing, "-Wl,-rpath,$ORIGIN"), [], []);
  expect(found).toContain("needs libstdc++.so.6, which neither glibc nor the package has");
  expect(found.join()).toMatch(/needs GLIBCXX_[\d.]+, expected a static libstdc\+\+ and libgcc/);
});

it("finds symbols of a newer glibc", () => {
  const renamed = '__asm__(".symver other, arc4random@GLIBC_2.36");\nextern "C" unsigned other();\n';
  const file = library(`${renamed}__attribute__((used)) unsigned (*keep)() = other;\n`, ...release);
  expect(complaints(file, [], [])).toEqual(["needs glibc 2.36, expected 2.34 at most"]);
});

it("finds symbols that are not the entry", () => {
  const file = library('__attribute__((visibility("default"))) int other() { return 1; }\n', ...release);
  expect(complaints(file, [], [])).toEqual(["exports _Z5otherv"]);
});

it("finds a library that is not beside it, or not looked for there", () => {
  const file = library("#include <omp.h>\n__attribute__((used)) int (*keep)() = omp_get_num_threads;\n", "-fopenmp");
  expect(complaints(file, [], [])).toEqual(["needs libgomp.so.1, which neither glibc nor the package has"]);
  expect(complaints(file, ["libgomp.so.1"], [])).toEqual(["finds libgomp.so.1 in null, expected $ORIGIN"]);
});

it("lets an engine need its own MPI, and no other", () => {
  const mpi = path("libmpich.so");
  writeFileSync(path("mpi.cpp"), 'extern "C" int MPI_Finalize() { return 0; }\n');
  execFileSync("c++", ["-shared", "-fPIC", "-Wl,-soname,libmpich.so.12", "-o", mpi, path("mpi.cpp")]);
  const calls = 'extern "C" int MPI_Finalize();\n__attribute__((used)) int (*keep)() = MPI_Finalize;\n';
  const built = library(calls, ...release, mpi);
  const named = (name: string) => {
    copyFileSync(built, path(name));
    return complaints(path(name), [], []);
  };
  expect(named("nextpatch_mpich.so")).toEqual([]);
  for (const other of ["nextpatch_openmpi.so", "nextpatch_cuda13.so"]) {
    expect(named(other)).toEqual(["needs libmpich.so.12, which neither glibc nor the package has"]);
  }
});

it("finds a path of the build", () => {
  const file = library("__attribute__((used)) const char* where = __FILE__;\n", ...release);
  expect(complaints(file, [], [dirname(file)])).toEqual([`holds a path of the build: ${dirname(file)}`]);
});

it("asks for nothing of libgomp's own symbols", () => {
  const found = execFileSync("c++", ["-print-file-name=libgomp.so.1"], { encoding: "utf8" }).trim();
  copyFileSync(found, path(basename(found)));
  expect(complaints(path(basename(found)), [], [])).toEqual([]);
});
