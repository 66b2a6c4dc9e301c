/** lib/config/config_types.ts, from the schema in lib/config/schema.ts: zod's descriptions do not reach an editor. */
import { absentSections } from "../lib/config/config.js";
import { runConfigJsonSchema } from "../lib/config/schema.js";
import { defaultText, type SchemaNode, values } from "./schema_nodes.js";

/** What a name ends in: a section as it is written, or with its defaults. */
type Ending = "Input" | "Values";

/** Keys whose type says more than a JSON Schema can. */
const known: Readonly<Record<Ending, Readonly<Record<string, string>>>> = {
  Input: { model: "ModelInput", device: "DeviceSpec" },
  Values: { model: "Readonly<Record<string, unknown>>", device: "DeviceSpec" },
};

const WIDTH = 120;

/** The file, as it stands in lib/config/config_types.ts. */
export function configTypesFile(): string {
  const types = new Types();
  types.add("RunConfigInput", "A run config as it is written: what is left out takes its default.", "Input");
  types.add("ConfigValues", "A run config with its defaults, but for what config.ts resolves.", "Values");
  return [
    "/** The keys of a run config. Written by `npm run docs` from lib/config/schema.ts. */",
    'import type { DeviceSpec } from "../device_names.js";',
    'import type { ModelInput } from "./model_input.js";',
    ...types.texts.flatMap((text) => ["", text]),
    "",
  ].join("\n");
}

/** Interfaces, one a section of the config. */
class Types {
  readonly #names = new Map<string, string>();
  #ending: Ending = "Input";

  get texts(): string[] {
    return [...this.#names].map(([body, name]) => body.replace("interface ", `interface ${name} `));
  }

  add(name: string, description: string, ending: Ending): void {
    this.#ending = ending;
    const schema = runConfigJsonSchema(ending === "Input" ? "input" : "output") as SchemaNode;
    this.#interface(name, { ...schema, description }, "");
  }

  /** The name of a section's interface; sections that are the same share one. */
  #interface(name: string, node: SchemaNode, path: string): string {
    const { properties = {}, required = [], description = "" } = node;
    const fields = Object.entries(properties).flatMap(([key, child]) => {
      const absent = this.#ending === "Input" && path === "" && absentSections.includes(key) ? " | null" : "";
      const [mark, or] = required.includes(key) ? ["", ""] : ["?", `${absent} | undefined`];
      const type = (path === "" && known[this.#ending][key]) || this.#type(child, path, key);
      return [...docComment(documentation(child, this.#ending), "  "), `  readonly ${key}${mark}: ${type}${or};`];
    });
    const body = [...docComment(description, ""), "export interface {", ...fields, "}"].join("\n");
    const shared = this.#names.get(body) ?? name;
    this.#names.set(body, shared);
    return shared;
  }

  #type(node: SchemaNode, path: string, key: string): string {
    const of = (child: SchemaNode) => this.#type(child, path, key);
    if (node.enum) return node.enum.map((value) => JSON.stringify(value)).join(" | ");
    if (node.const !== undefined) return JSON.stringify(node.const);
    if (node.anyOf) return [...new Set(node.anyOf.map(of))].join(" | ");
    if (node.prefixItems) return `readonly [${node.prefixItems.map(of).join(", ")}]`;
    if (node.type === "array") {
      const items = node.items as SchemaNode;
      const plural = /^(.+)s$/.exec(key)?.[1];
      const item = items.properties
        ? this.#section(plural ? path + capital(plural) : `${path}Entry`, items)
        : of(items);
      return item.includes(" | ") ? `readonly (${item})[]` : `readonly ${item}[]`;
    }
    if (node.properties) return this.#section(path + capital(key), node);
    if (node.type === "integer") return "number";
    if (["number", "string", "boolean", "null"].includes(node.type ?? "")) return node.type!;
    throw new Error(`${path}${key}: expected a schema with a type but received ${JSON.stringify(node)}`);
  }

  #section(path: string, node: SchemaNode): string {
    return this.#interface(path + this.#ending, node, path);
  }
}

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** What the docs say of a key: its meaning, its range, its default. */
function documentation(node: SchemaNode, ending: Ending): string {
  const { description = "" } = node;
  const range = values(node).replaceAll("`", "");
  const holds = /[<>≥≤]/.test(range) ? ` ${capital(range)}.` : "";
  const isSection = node.properties !== undefined;
  const told = ending === "Values" || node.default === undefined || isSection || /Default/.test(description);
  return `${description}${holds}${told ? "" : ` Default ${defaultText(node.default)}.`}`;
}

/** A doc comment in lines of at most WIDTH characters. */
function docComment(text: string, indent: string): string[] {
  if (text.includes("*/")) throw new Error(`expected a description without */ but received ${text}`);
  if (text === "") return [];
  if (indent.length + text.length + 7 <= WIDTH) return [`${indent}/** ${text} */`];
  const lines: string[] = [];
  for (const word of text.split(/(?<![<>≥≤]) /)) {
    const last = lines.at(-1);
    if (last !== undefined && indent.length + 3 + last.length + 1 + word.length <= WIDTH) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else lines.push(word);
  }
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`), `${indent} */`];
}
