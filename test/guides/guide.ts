/** A guide of docs/guides as its reader follows it: files to save, and commands to type, in their order. */
import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("../../docs/guides/", import.meta.url);

export type Step =
  /** A block behind "`NAME`:", to save under that name. */
  | { readonly kind: "file"; readonly name: string; readonly text: string }
  /** A block in `sh`; `why` says why it is not run, by the comment before it. */
  | { readonly kind: "commands"; readonly text: string; readonly why: string | null };

export interface Guide {
  readonly name: string;
  readonly steps: readonly Step[];
}

/** In the order of the table, in which a guide finds what those before it have made. */
export function guides(): Guide[] {
  const read = (file: string) => readFileSync(new URL(file, folder), "utf8");
  const names = [...read("README.md").matchAll(/^\| \[.*?\]\(([\w-]+)\.md\)/gm)].map(([, name]) => name!);
  const there = readdirSync(folder).map((file) => file.replace(/\.md$/, ""));
  if (there.length !== names.length + 1) throw new Error(`README.md lists ${names} of ${there}`);
  return names.map((name) => ({ name, steps: steps(read(`${name}.md`), name) }));
}

function steps(page: string, name: string): Step[] {
  const blocks = page.matchAll(/(?:`([\w.-]+)`:\n\n|<!-- not run: (.*) -->\n)?^```(\w+)\n([\s\S]*?)^```$/gm);
  return [...blocks].map(([, file, why, language, text]): Step => {
    if (file !== undefined) return { kind: "file", name: file, text: text! };
    if (language === "sh") return { kind: "commands", text: text!, why: why ?? null };
    throw new Error(`${name}: expected a file's name before a block in ${language}`);
  });
}
