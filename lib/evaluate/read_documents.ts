import { readDocuments } from "../data/sources.js";

/** The documents of files, each whole. @throws DataError as `readDocuments` */
export async function wholeDocuments(files: readonly string[], onNote: (note: string) => void): Promise<string[]> {
  const documents: string[] = [];
  for (const file of files) {
    let parts: string[] = [];
    for await (const { text, first } of readDocuments(file, undefined, { onNote })) {
      if (first && parts.length > 0) documents.push(parts.join(""));
      if (first) parts = [];
      parts.push(text);
    }
    if (parts.length > 0) documents.push(parts.join(""));
  }
  return documents;
}
