/** The items of tasks: `ScoreItem`, and what is wrong with one. */
import { show } from "../arguments.js";

/** A question with answers to choose from; each is scored after the question. */
export interface ChoiceItem {
  readonly query: string;
  /** The answers, with the space or whatever else stands between the question and them. */
  readonly choices: readonly string[];
  /** The index of the right one. */
  readonly gold: number;
  readonly task?: string;
}

/** Contexts to choose from; the one continuation is scored after each. */
export interface ContextItem {
  readonly contexts: readonly string[];
  readonly continuation: string;
  /** The index of the right context. */
  readonly gold: number;
  readonly task?: string;
}

/** A text and how it goes on. */
export interface ContinuationItem {
  readonly query: string;
  readonly continuation: string;
  readonly task?: string;
}

/** An item of a task. Items of one task have one form. */
export type ScoreItem = ChoiceItem | ContextItem | ContinuationItem;

/** The form of an item: the names of its keys but `task`. */
export type ItemForm = "choices" | "contexts" | "continuation";

/** @throws nothing: a value that `problemOf` finds nothing wrong with has a form */
export function formOf(item: ScoreItem): ItemForm {
  return "choices" in item ? "choices" : "contexts" in item ? "contexts" : "continuation";
}

const keysOf: Readonly<Record<ItemForm, readonly string[]>> = {
  choices: ["query", "choices", "gold"],
  contexts: ["contexts", "continuation", "gold"],
  continuation: ["query", "continuation"],
};

/** What is wrong with an item. */
export interface ItemProblem {
  /** The key, or "" for the item itself. */
  readonly key: string;
  readonly expected: string;
  readonly received: string;
  /** Whether it is of the right kind, and only its value is wrong. */
  readonly isRange: boolean;
}

/** The first thing that is wrong with a value that should be an item; null if it is one. */
export function problemOf(value: unknown): ItemProblem | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { key: "", expected: "an object", received: show(value), isRange: false };
  }
  const item = value as Readonly<Record<string, unknown>>;
  const form = formOf(value as ScoreItem);
  for (const key of keysOf[form]) {
    const expected = expectationOf(item, key, form);
    if (expected !== null) return { key, received: show(item[key]), ...expected };
  }
  const { task } = item;
  if (task === undefined || (typeof task === "string" && task !== "")) return null;
  return { key: "task", expected: "a name", received: show(task), isRange: task === "" };
}

/** What was expected of a key that has something else. */
function expectationOf(
  item: Readonly<Record<string, unknown>>,
  key: string,
  form: ItemForm,
): { readonly expected: string; readonly isRange: boolean } | null {
  const value = item[key];
  if (key === "gold") {
    const count = (item[form] as readonly string[]).length;
    const fits = Number.isInteger(value) && (value as number) >= 0 && (value as number) < count;
    return fits
      ? null
      : { expected: `the index of one of ${count} ${form}, from 0`, isRange: typeof value === "number" };
  }
  if (key === "choices" || key === "contexts") {
    if (!Array.isArray(value) || value.findIndex((text) => typeof text !== "string") >= 0) {
      return { expected: "an array of strings", isRange: false };
    }
    if (value.length < 2) return { expected: "2 or more strings", isRange: true };
    return key === "choices" && value.includes("") ? { expected: "choices with text", isRange: true } : null;
  }
  if (typeof value !== "string") return { expected: "a string", isRange: false };
  return key === "continuation" && value === "" ? { expected: "a text", isRange: true } : null;
}
