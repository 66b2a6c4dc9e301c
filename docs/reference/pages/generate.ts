/**
 * Text from a model. [generation.md](../generation.md) says how it is sampled.
 *
 * @module generate
 */
export {
  type GenerateOptions,
  type GenerateTextsOptions,
  type Generation,
  generate,
  generateTexts,
  streamText,
} from "nextpatch";
