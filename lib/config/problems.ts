/** Turns the schema's issues into actionable messages. */
import { z } from "zod";
import { either, show } from "../arguments.js";
import { nearestKey } from "./nearest.js";

type Issue = z.core.$ZodIssue;

/** One line per problem, without the file's name: `batch.sequenceLenght: unknown key; did you mean sequenceLength?` */
export function describeIssues(issues: readonly Issue[], schema: z.ZodType): string[] {
  return issues.flatMap((issue) => {
    if (issue.code === "unrecognized_keys") {
      const known = knownKeys(schema, issue.path);
      return issue.keys.map((key) => `${joinPath([...issue.path, key])}: ${unknownKey(key, known)}`);
    }
    const at = issue.path.length === 0 ? "" : `${joinPath(issue.path)}: `;
    return `${at}${expectation(issue)} but received ${show(issue.input)}`;
  });
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
  let current: z.core.$ZodType = unwrap(schema);
  for (const key of path) {
    if (current instanceof z.ZodArray) current = unwrap(current.element);
    else if (current instanceof z.ZodObject) current = unwrap(current.shape[String(key)] as z.core.$ZodType);
  }
  return current instanceof z.ZodObject ? Object.keys(current.shape) : [];
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  const wraps = schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return wraps ? unwrap(schema.unwrap()) : schema;
}
