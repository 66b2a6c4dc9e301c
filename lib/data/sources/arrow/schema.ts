/** The columns of Arrow data, and where the text's buffers are among all of a record batch. */
import type { Table } from "./flatbuffer.js";

/** Arrow's numbers for the types that hold bytes. */
export const TYPE = { binary: 4, utf8: 5, largeBinary: 19, largeUtf8: 20, binaryView: 23, utf8View: 24 } as const;

const STRUCT = 13;
const UNION = 14;

const NAMES =
  "none null int float binary string bool decimal date time timestamp interval list struct union fixed_size_binary " +
  "fixed_size_list map duration large_binary large_string large_list run_end_encoded binary_view string_view " +
  "list_view large_list_view";

/** Buffers of each type, without those of its children; for the views, without the variadic ones. */
const BUFFERS: readonly number[] = [0, 0, 2, 2, 3, 3, 2, 2, 2, 2, 2, 2, 2, 1, 1, 2, 1, 2, 2, 3, 3, 2, 0, 2, 2, 3, 3];

export interface Field {
  readonly name: string;
  readonly type: number;
  /** Of a union, whether it has an offset for each value. */
  readonly isDense: boolean;
  readonly children: readonly Field[];
  /** Of a column whose values are numbers of entries in a dictionary. */
  readonly dictionary: { readonly id: number; readonly indexBytes: number; readonly isSigned: boolean } | undefined;
}

/** The most fields of a schema, and how deep they may be in one another. */
const MOST = { fields: 100_000, depth: 100 };

/** Reads Field tables. Several may lie at one place, so that a short message can hold any number of them. */
export function readFields(tables: readonly Table[]): Field[] {
  let count = 0;
  const read = (table: Table, depth: number): Field => {
    if (++count > MOST.fields || depth > MOST.depth) throw new Error("a schema of too many fields");
    return readField(table, (child) => read(child, depth + 1));
  };
  return tables.map((table) => read(table, 1));
}

function readField(table: Table, child: (table: Table) => Field): Field {
  const encoding = table.table(4);
  const index = encoding?.table(1);
  const type = table.byte(2);
  return {
    name: table.string(0),
    type,
    isDense: type === UNION && table.table(3)?.short(0) === 1,
    children: table.tables(5).map(child),
    dictionary: encoding && {
      id: encoding.long(0),
      indexBytes: index === undefined ? 4 : index.int(0) / 8,
      isSigned: index === undefined || index.byte(1) !== 0,
    },
  };
}

/** The name of a field's type. */
export function typeName({ type }: Field): string {
  return NAMES.split(" ")[type] ?? `type ${type}`;
}

export function holdsText({ type }: Field): boolean {
  return Object.values<number>(TYPE).includes(type);
}

/** The field at a path: whose name is the whole path, if there is one, else one step a dot, through structs. */
export function fieldPath(fields: readonly Field[], path: string): Field[] | undefined {
  const whole = fields.find(({ name }) => name === path);
  if (whole !== undefined) return [whole];
  const found: Field[] = [];
  let among = fields;
  for (const step of path.split(".")) {
    const next = among.find(({ name }) => name === step);
    if (next === undefined) return undefined;
    found.push(next);
    among = next.type === STRUCT ? next.children : [];
  }
  return found;
}

/** Where the buffers of a column begin in a record batch. */
export interface Layout {
  /** The first buffer of each field of the path, which is its validity; the last is the column's. */
  readonly buffers: readonly number[];
  /** The first of the variadic buffers, and the index of their count. */
  readonly variadic: number;
}

/**
 * Finds the buffers of the last field of `path`.
 * @param counts of the batch's variadic buffers, a count for each column of a view type
 * @param version of the metadata: before V5, unions have a validity buffer
 */
export function layoutOf(
  fields: readonly Field[],
  path: readonly Field[],
  counts: readonly number[],
  version: number,
): Layout {
  const starts = new Map<Field, number>();
  let buffer = 0;
  let views = 0;
  let variadic = 0;
  const visit = (field: Field): void => {
    starts.set(field, buffer);
    if (field.dictionary !== undefined) {
      buffer += 2;
      return;
    }
    buffer += BUFFERS[field.type] ?? 0;
    if (field.type === UNION) buffer += (field.isDense ? 1 : 0) + (version < 4 ? 1 : 0);
    if (field.type === TYPE.binaryView || field.type === TYPE.utf8View) {
      if (field === path.at(-1)) variadic = views;
      buffer += counts[views++] ?? 0;
    }
    for (const child of field.children) visit(child);
  };
  for (const field of fields) visit(field);
  return { buffers: path.map((field) => starts.get(field)!), variadic };
}
