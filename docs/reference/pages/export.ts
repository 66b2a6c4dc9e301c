/**
 * Models in other forms: GGUF for llama.cpp, and Hugging Face folders in another element type.
 * [export.md](../export.md) has both.
 *
 * @module export
 */
export {
  type ExportGgufOptions,
  type ExportHfOptions,
  exportGguf,
  exportHf,
  type GgmlType,
  type GgufDtype,
  type GgufExport,
  type HfDtype,
  type HfExport,
} from "nextpatch";
