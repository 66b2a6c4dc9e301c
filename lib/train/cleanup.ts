/** A stack of cleanup steps, run in reverse order, like `AsyncDisposableStack`, which Node 20 lacks. */
export class Cleanup {
  readonly #actions: (() => void | Promise<void>)[] = [];

  /** Registers how to close something just opened. */
  add(action: () => void | Promise<void>): void {
    this.#actions.push(action);
  }

  /** Runs every step, even if one fails, and then throws its error. A second call does nothing. */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let action = this.#actions.pop(); action; action = this.#actions.pop()) {
      try {
        await action();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
