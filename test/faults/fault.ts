import type { Place } from "./place.js";

/** Something that goes wrong around a command, and what must come of it. docs/reliability.md has their table. */
export interface Fault {
  /** What `npm run test:faults -- NAME` calls it. */
  readonly name: string;
  readonly fault: string;
  readonly tried: string;
  readonly happens: string;
  /** Tries it. Throws if something else happens. Returns what is worth printing, such as a measured time. */
  readonly run: (place: Place) => Promise<string | undefined>;
}
