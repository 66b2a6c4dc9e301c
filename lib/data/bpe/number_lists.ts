/** Many short lists of numbers in a few typed arrays: an array each would take ten times the memory. */

/** Numbers in an array that short lists share; a longer list gets one of its own. */
const SHARED = 1 << 18;
const LONG = 1 << 12;

export class NumberLists {
  readonly #arrays: (Int32Array | null)[] = [];
  /** Arrays whose list is gone. */
  readonly #free: number[] = [];
  #shared = -1;
  #used = SHARED;

  /** Room for a list of `length` numbers: its array and where in it the list begins. */
  allocate(length: number): { array: number; start: number } {
    if (length > LONG) return { array: this.#push(new Int32Array(length)), start: 0 };
    if (this.#used + length > SHARED) {
      this.#shared = this.#push(new Int32Array(SHARED));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += length;
    return { array: this.#shared, start };
  }

  /** The array that a list lies in. */
  array(index: number): Int32Array {
    return this.#arrays[index]!;
  }

  /** Gives up a list. Only a long one's memory is free then: short ones stay as long as their array. */
  release(array: number, length: number): void {
    if (length <= LONG) return;
    this.#arrays[array] = null;
    this.#free.push(array);
  }

  #push(array: Int32Array): number {
    const index = this.#free.pop() ?? this.#arrays.length;
    this.#arrays[index] = array;
    return index;
  }
}
