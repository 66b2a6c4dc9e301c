/** What docs/config.md and the types of a config say of a key in its JSON Schema. */

/** A part of the JSON Schema of a config. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly anyOf?: readonly SchemaNode[];
  readonly items?: SchemaNode | false;
  readonly prefixItems?: readonly SchemaNode[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

/** A default as a config has it. */
export function defaultText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(defaultText).join(", ")}]`;
  return typeof value === "number" && value > 0 && value < 1e-3 ? value.toExponential() : String(value);
}

/** What a key holds, in words. */
export function values(node: SchemaNode): string {
  if (node.enum) return node.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (node.const !== undefined) return `\`${String(node.const)}\``;
  if (node.anyOf) return [...new Set(node.anyOf.map(values))].join(" or ");
  if (node.prefixItems) return `list of ${node.prefixItems.length} numbers`;
  if (node.type === "array") return `list of ${typeof node.items === "object" ? entries(node.items) : "texts"}`;
  if (node.type === "object") return "section";
  if (node.type === "integer" || node.type === "number") return `${node.type}${bounds(node)}`;
  return node.type === "string" ? "text" : (node.type ?? "");
}

/** What a list has. */
function entries(items: SchemaNode): string {
  if (items.enum) return values(items);
  if (items.properties) return "sections";
  return items.type === "integer" ? "integers" : "texts";
}

function bounds({ minimum, exclusiveMinimum, maximum, exclusiveMaximum }: SchemaNode): string {
  const low = exclusiveMinimum !== undefined ? ` > ${exclusiveMinimum}` : minimum !== undefined ? ` ≥ ${minimum}` : "";
  const most = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? "" : ` ≤ ${maximum}`;
  const high = exclusiveMaximum === undefined ? most : ` < ${exclusiveMaximum}`;
  return `${low}${low && high ? "," : ""}${high}`;
}
