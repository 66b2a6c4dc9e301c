/** The column of a Parquet file that holds the text. */
import type { SchemaTree } from "hyparquet";
import { DataError } from "../../../errors.js";
import type { TextField } from "../text_field.js";

/** Finds the column of strings. Throws DataError if it is not there or holds something else. */
export function textColumn(root: SchemaTree, file: string, field: TextField): SchemaTree[] {
  const names = root.children.map(({ element }) => element.name);
  const name = field.choose(names, file, "the columns");
  const path = columnPath(root, name);
  if (path === undefined) throw field.missing(name, names, file, "the columns");
  const { element, children } = path.at(-1)!;
  const type = element.logical_type?.type ?? element.converted_type;
  const isText =
    element.type === "BYTE_ARRAY" && (type === undefined || ["STRING", "UTF8", "ENUM", "JSON"].includes(type));
  if (!isText || children.length > 0 || path.some((node) => node.element.repetition_type === "REPEATED")) {
    const received = children.length > 0 ? groupName(path.at(-1)!) : `values of type ${type ?? element.type}`;
    const isList = path.some((node) => node.element.repetition_type === "REPEATED");
    throw new DataError(
      `${file}: column ${JSON.stringify(name)}: expected strings but received ${isList ? "lists" : received}`,
    );
  }
  return path;
}

/** The nodes from the root to the column whose name is the whole path, if there is one, else one step a dot. */
function columnPath(root: SchemaTree, name: string): SchemaTree[] | undefined {
  const path = [root];
  const steps = root.children.some(({ element }) => element.name === name) ? [name] : name.split(".");
  for (const step of steps) {
    const next = path.at(-1)!.children.find(({ element }) => element.name === step);
    if (next === undefined) return undefined;
    path.push(next);
  }
  return path;
}

function groupName({ element, children }: SchemaTree): string {
  if (element.converted_type !== undefined) return `a ${element.converted_type.toLowerCase()}`;
  return `a group of ${children.map((child) => child.element.name).join(", ")}`;
}
