/** Stand-ins for what is loaded when it is first needed. */
import { expect, it } from "@jest/globals";
import { type LazyClass, lazyClass, lazyObject } from "../../lib/native/lazy.js";

class Real {
  static made = 0;
  constructor(readonly value: number) {
    Real.made += 1;
  }
  get mark(): string {
    return `mark ${this.value}`;
  }
  double(): number {
    return 2 * this.value;
  }
}

function lazyReal(onLoad: () => void = () => {}) {
  const lazy: LazyClass<typeof Real> = lazyClass<typeof Real>("Real", "mark", () => {
    onLoad();
    lazy.link(Real);
  });
  return lazy;
}

it("an object is loaded by the first read of a member, once, and then has them itself", () => {
  let loads = 0;
  const lazy = lazyObject(() => {
    loads += 1;
    return { one: 1, add: (a: number, b: number) => a + b };
  });
  expect([Reflect.get(lazy, "then"), Reflect.get(lazy, Symbol.iterator), String(lazy)]).toEqual([
    undefined,
    undefined,
    "[object Object]",
  ]);
  expect(loads).toBe(0);
  expect(lazy.add(1, 2)).toBe(3);
  expect(Object.entries(lazy).map(([name]) => name)).toEqual(["one", "add"]);
  expect(lazy.one).toBe(1);
  expect(Object.getPrototypeOf(lazy)).toBe(Object.prototype);
  expect(loads).toBe(1);
});

it("an object that cannot be loaded says so at every read", () => {
  const lazy = lazyObject<{ one: number }>(() => {
    throw new Error("not here");
  });
  expect(() => lazy.one).toThrow("not here");
  expect(() => lazy.one).toThrow("not here");
});

it("a class can be extended and tested for before it is loaded", () => {
  let loads = 0;
  const lazy = lazyReal(() => {
    loads += 1;
  });
  class Derived extends lazy.type {
    triple(): number {
      return 3 * this.value;
    }
  }
  expect(lazy.type.name).toBe("Real");
  for (const other of [{}, null, 1, "text", () => 1, new Proxy({}, {})]) {
    expect(other instanceof lazy.type).toBe(false);
    expect(other instanceof Derived).toBe(false);
  }
  expect(loads).toBe(0);

  const derived = new Derived(2);
  expect(loads).toBe(1);
  expect([derived.double(), derived.triple(), derived.mark]).toEqual([4, 6, "mark 2"]);
  expect([derived instanceof Derived, derived instanceof lazy.type, derived instanceof Real]).toEqual([
    true,
    true,
    true,
  ]);
  const plain = new lazy.type(5);
  expect([plain instanceof Derived, plain instanceof lazy.type, plain instanceof Real]).toEqual([false, true, true]);
  expect(Object.getPrototypeOf(plain)).toBe(Real.prototype);
  expect(lazy.type.prototype).toBe(Real.prototype);
  expect(loads).toBe(1);
});

it("a class knows an instance that was made elsewhere before it was loaded", () => {
  const lazy = lazyReal();
  expect(new Real(1) instanceof lazy.type).toBe(true);
});

it("a class is not called without new", () => {
  const lazy = lazyReal();
  expect(() => Reflect.apply(lazy.type as unknown as () => void, null, [])).toThrow("cannot be invoked without 'new'");
});
