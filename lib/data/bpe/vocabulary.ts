/** The tokens of a vocabulary that is being learned, numbered in the order added. */
export class Vocabulary {
  readonly #tokens: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** Tokens that no merge may spell. */
  readonly #reserved = new Set<string>();

  get size(): number {
    return this.#tokens.length;
  }

  /** All tokens in the order of their numbers. */
  get tokens(): readonly string[] {
    return this.#tokens;
  }

  /** The number of a token, which it gets now if it is new. */
  add(token: string): number {
    let number = this.#numbers.get(token);
    if (number === undefined) {
      number = this.#tokens.length;
      this.#tokens.push(token);
      this.#numbers.set(token, number);
    }
    return number;
  }

  /** Adds a token that stands for something else than its text: no merge may lead to it. */
  reserve(token: string): number {
    this.#reserved.add(token);
    return this.add(token);
  }

  /** The number of the token that two tokens make; null if no merge may spell it. */
  merged(left: number, right: number): number | null {
    const token = this.#tokens[left]! + this.#tokens[right]!;
    return this.#reserved.has(token) ? null : this.add(token);
  }
}
