/**
 * The model: made, loaded, called and saved. [model.md](../model.md) has it as a function.
 *
 * @module model
 */
export {
  Decoder,
  type ForwardOptions,
  type ForwardResult,
  Llama,
  type ModelFolderExtras,
  type Parameter,
  type ParameterLayout,
  type Parameters,
  type Placement,
  type SamplingSettings,
  type Slot,
  type TokenBatch,
  type TokenIds,
} from "nextpatch";
