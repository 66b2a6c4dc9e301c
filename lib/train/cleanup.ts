/** What is to be undone, last thing first: what `AsyncDisposableStack` is, which Node 20 lacks. */
export class Cleanup {
  readonly #actions: (() => void | Promise<void>)[] = [];

  /** Notes how something that was just opened is closed. */
  add(action: () => void | Promise<void>): void {
    this.#actions.push(action);
  }

  /** Undoes everything, also where a part of it fails; that is then thrown. A second call finds nothing left to do. */
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
