/** Inputs that are almost right: a valid one with some of its parts changed. */
import fc from "fast-check";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Values that readers stumble over. */
const hostile: readonly Json[] = [
  null,
  true,
  0,
  -1,
  0.5,
  2 ** 31,
  2 ** 32 + 1,
  2 ** 53,
  2 ** 53 + 2,
  1e308,
  5e-324,
  "",
  "x".repeat(10_000),
  "\ud800",
  "__proto__",
  "../../x",
  [],
  [[]],
  {},
  { constructor: 1 },
  Array.from({ length: 1000 }, () => 0),
];

/** Keys that objects have already, or that are long. */
const keys = ["__proto__", "constructor", "toString", "length", "", "k".repeat(1000)];

type Change =
  | { readonly kind: "replace"; readonly value: Json }
  | { readonly kind: "nest"; readonly depth: number }
  | { readonly kind: "delete" | "duplicate" | "swap" }
  | { readonly kind: "add"; readonly key: string; readonly value: Json };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant("replace" as const), value: fc.constantFrom(...hostile) }),
  fc.record({ kind: fc.constant("replace" as const), value: fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json> }),
  fc.record({ kind: fc.constant("nest" as const), depth: fc.constantFrom(1, 40, 600, 20_000) }),
  fc.record({ kind: fc.constantFrom("delete" as const, "duplicate" as const, "swap" as const) }),
  fc.record({ kind: fc.constant("add" as const), key: fc.constantFrom(...keys), value: fc.constantFrom(...hostile) }),
);

/** A marker that no input has; it is replaced by lists inside one another once the JSON is text. */
const nestMarker = "nested-lists-of-depth-";

/** JSON texts that differ from a value's in up to three places. */
export function mutatedJson(base: Json): fc.Arbitrary<string> {
  return fc.array(fc.tuple(fc.nat(), change), { minLength: 1, maxLength: 3 }).map((changes) => {
    const root = { root: structuredClone(base) } as { root: Json };
    for (const [place, each] of changes) apply(root, place, each);
    const text = JSON.stringify(root.root) ?? "";
    return text.replace(new RegExp(`"${nestMarker}(\\d+)"`, "g"), (_, depth: string) => {
      return "[".repeat(Number(depth)) + "]".repeat(Number(depth));
    });
  });
}

/** Every place of a value: what holds it, and under which key. */
function places(holder: object, found: [Record<string, Json>, string][] = []): [Record<string, Json>, string][] {
  for (const [key, value] of Object.entries(holder)) {
    found.push([holder as Record<string, Json>, key]);
    if (typeof value === "object" && value !== null) places(value as object, found);
  }
  return found;
}

function apply(root: { root: Json }, place: number, each: Change): void {
  const all = places(root);
  const [holder, key] = all[place % all.length]!;
  const define = (at: object, name: string, value: Json) =>
    Object.defineProperty(at, name, { value, enumerable: true, configurable: true, writable: true });
  switch (each.kind) {
    case "replace":
      define(holder, key, structuredClone(each.value));
      break;
    case "nest":
      define(holder, key, `${nestMarker}${each.depth}`);
      break;
    case "delete":
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else if (holder !== (root as object)) delete holder[key];
      break;
    case "duplicate": {
      const value = holder[key]!;
      if (Array.isArray(value)) value.push(...structuredClone(value));
      else define(holder, `${key}2`, structuredClone(value));
      break;
    }
    case "swap": {
      const [other, otherKey] = all[(place * 7 + 1) % all.length]!;
      const kept = structuredClone(holder[key]!);
      define(holder, key, structuredClone(other[otherKey]!));
      define(other, otherKey, kept);
      break;
    }
    case "add": {
      const value = holder[key];
      if (Array.isArray(value)) value.push(structuredClone(each.value));
      else if (typeof value === "object" && value !== null) define(value, each.key, structuredClone(each.value));
    }
  }
}

const extremes = [0n, 1n, 0x7fffffffn, 0x80000000n, 0xffffffffn, 1n << 53n, (1n << 63n) - 1n, (1n << 64n) - 1n];

/** Bytes that differ from others in up to four places: bits, numbers, missing or inserted pieces, a cut end. */
export function mutatedBytes(base: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    kind: fc.constantFrom("bit", "byte", "number", "remove", "insert", "cut"),
    // Headers are at the start, footers at the end: a third of the changes each falls on them.
    place: fc.oneof(
      fc.nat(Math.min(base.length, 64)),
      fc.nat(Math.min(base.length, 1024)).map((back) => base.length - back),
      fc.nat(base.length),
    ),
    value: fc.nat(255),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let bytes = Buffer.from(base);
    for (const { kind, place, value } of edits) {
      const at = Math.min(place, bytes.length);
      if (kind === "bit" && at < bytes.length) bytes[at]! ^= 1 << (value % 8);
      if (kind === "byte" && at < bytes.length) bytes[at] = [0, 1, 127, 128, 254, 255][value % 6]!;
      if (kind === "number" && at + 8 <= bytes.length) bytes.writeBigUInt64LE(extremes[value % extremes.length]!, at);
      if (kind === "remove") bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + (value % 16))]);
      if (kind === "insert")
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(1 + value, value), bytes.subarray(at)]);
      if (kind === "cut") bytes = bytes.subarray(0, at);
    }
    return bytes;
  });
}

/** A text with pieces of itself removed, repeated, or replaced by what YAML has a meaning for. */
export function mutatedText(base: string): fc.Arbitrary<string> {
  const piece = fc.constantFrom(
    "&a ",
    "*a",
    "!!binary ",
    "<<: ",
    "- ",
    ": ",
    "{",
    "[",
    "|\n",
    "? ",
    "\t",
    "#",
    "\u0000",
    "[".repeat(5000),
  );
  const edit = fc.record({ place: fc.nat(base.length), remove: fc.nat(20), insert: fc.oneof(piece, fc.string()) });
  return fc
    .array(edit, { minLength: 1, maxLength: 4 })
    .map((edits) =>
      edits.reduce(
        (text, { place, remove, insert }) => text.slice(0, place) + insert + text.slice(place + remove),
        base,
      ),
    );
}
