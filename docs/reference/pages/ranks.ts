/**
 * Several processes that compute together. [distributed.md](../distributed.md) says how they are started.
 *
 * @module ranks
 */
export { type EngineName, type EngineReport, engines, Ranks } from "nextpatch";
