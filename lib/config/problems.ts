/** Turns the schema's issues into actionable messages. */
import { z } from "zod";
import { either, show } from "../arguments.js";
import { nearestKey } from "../nearest.js";

type Issue = z.core.$ZodIssue;

/** One line per problem, without the file's name: `batch.sequenceLenght: unknown key; did you mean sequenceLength?` */
export function describeIssues(issues: readonly Issue[], schema: z.ZodType): string[] {
  return issues.flatMap((issue) => {
    const inside = issue.code === "invalid_union" ? meantAlternative(issue) : null;
    if (inside !== null) return describeIssues(inside, schema);
    if (issue.code === "unrecognized_keys") {
      const known = knownKeys(schema, issue.path);
      return issue.keys.map((key) => `${joinPath([...issue.path, key])}: ${unknownKey(key, known)}`);
    }
    const at = issue.path.length === 0 ? "" : `${joinPath(issue.path)}: `;
    return `${at}${expectation(issue)} but received ${show(issue.input)}`;
  });
}

/**
 * The issues of the alternative that a value is an attempt at: the one whose issues all lie deeper in the value than those
 * of any other, as those of a list of sections do in which a key is misspelt. Null if no alternative is.
 */
function meantAlternative({ path, errors }: z.core.$ZodIssueInvalidUnion): Issue[] | null {
  const depths = errors.map((issues) => Math.min(...issues.map(depthOf)));
  const deepest = Math.max(...depths);
  if (depths.filter((depth) => depth === deepest).length !== 1) return null;
  return errors[depths.indexOf(deepest)]!.map((issue) => ({ ...issue, path: [...path, ...issue.path] }));
}

function depthOf({ code, path }: Issue): number {
  return path.length + (code === "unrecognized_keys" ? 1 : 0);
}

/** The message for a key that is not in `known`. */
function unknownKey(key: string, known: readonly string[]): string {
  const nearest = nearestKey(key, known);
  return nearest === undefined
    ? `unknown key; expected one of ${known.join(", ")}`
    : `unknown key; did you mean ${nearest}?`;
}

/** `stages[0].patchSize`, as the docs write a key, for `stages.0.patchSize`. */
export function asWritten(key: string): string {
  return joinPath(key.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part)));
}

function joinPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((at, key) => {
    if (typeof key === "number") return `${at}[${key}]`;
    return at === "" ? String(key) : `${at}.${String(key)}`;
  }, "");
}

const typeNames: Readonly<Record<string, string>> = {
  int: "an integer",
  number: "a number",
  string: "a text",
  boolean: "true or false",
  array: "a list",
  tuple: "a list",
  object: "a section of keys",
  record: "a section of keys",
};

function expectation(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${typeNames[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      return `expected ${either(issue.values.map(String))}`;
    case "too_small":
      if (issue.origin === "string") return "expected a text that is not empty";
      if (issue.origin === "array") return `expected a list of ${issue.minimum} or more`;
      return `expected a number ${issue.inclusive ? "of at least" : "greater than"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "array") return `expected a list of ${issue.maximum} or fewer`;
      return `expected a number ${issue.inclusive ? "of at most" : "less than"} ${issue.maximum}`;
    default:
      return issue.message;
  }
}

/** The keys of the object at `path` in the schema. */
function knownKeys(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  let current = alternatives(schema);
  for (const key of path) {
    current = current
      .flatMap((at) => (at instanceof z.ZodArray ? at.element : at instanceof z.ZodObject ? at.shape[String(key)] : []))
      .flatMap((at) => alternatives(at as z.core.$ZodType));
  }
  return current.flatMap((at) => (at instanceof z.ZodObject ? Object.keys(at.shape) : []));
}

/** The schemas that a value may follow at this place. */
function alternatives(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(alternatives);
  const wraps = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return wraps ? alternatives(schema.unwrap()) : [schema];
}
