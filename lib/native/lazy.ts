/** Stand-ins for an object and for classes that are loaded when they are first needed. */
import { types } from "node:util";

/** An object whose members are those of `load()`, which is called when the first of them is read. */
export function lazyObject<T extends object>(load: () => T): T {
  const object = {} as T;
  const fill = (): void => {
    const loaded = load();
    Object.setPrototypeOf(object, Object.prototype);
    // Own properties, so that from here on a read is an ordinary one.
    for (const name of Object.keys(loaded) as (keyof T)[])
      if (!Object.hasOwn(object, name)) object[name] = loaded[name];
  };
  const first = new Proxy(Object.prototype, {
    get(target, name) {
      // What is asked of any object: `await` asks for `then`.
      if (typeof name === "symbol" || name === "then" || name in target) return Reflect.get(target, name);
      fill();
      return Reflect.get(object, name);
    },
    has(_, name) {
      if (typeof name !== "symbol") fill();
      return Reflect.has(Object.prototype, name) || Object.hasOwn(object, name);
    },
  });
  Object.setPrototypeOf(object, first);
  return object;
}

/** A class, abstract members included, as `new` and `instanceof` see it. */
type Class = new (...args: never[]) => object;

/** A class that need not be loaded to be extended, imported or tested for. */
export interface LazyClass<C extends Class> {
  readonly type: C;
  /** Makes `type` the same as the loaded class. */
  link(loaded: C): void;
}

/**
 * @param accessor an accessor that instances of the class have from their prototype
 * @param load calls `link`
 */
export function lazyClass<C extends Class>(name: string, accessor: string, load: () => unknown): LazyClass<C> {
  let real: C | null = null;
  const standIn = function () {} as unknown as C;
  Object.defineProperty(standIn, "name", { value: name });
  // Without an instance from elsewhere (another realm or copy of the package, which has the same addon) there is none.
  Object.defineProperty(standIn, Symbol.hasInstance, {
    configurable: true,
    value(this: unknown, value: unknown): boolean {
      if (hasAccessor(value, accessor)) load();
      return Function.prototype[Symbol.hasInstance].call(this as () => void, value);
    },
  });
  const { prototype } = standIn; // of classes that extend this one before it is loaded
  const type: C = new Proxy(standIn, {
    construct(_, args: never[], newTarget): object {
      if (real === null) load();
      return Reflect.construct(real!, args, newTarget === type ? real! : newTarget);
    },
    apply() {
      throw new TypeError(`Class constructor ${name} cannot be invoked without 'new'`);
    },
  });
  return {
    type,
    link(loaded) {
      real = loaded;
      Object.setPrototypeOf(prototype, loaded.prototype as object);
      (standIn as { prototype: unknown }).prototype = loaded.prototype;
      Reflect.deleteProperty(standIn, Symbol.hasInstance);
    },
  };
}

/** Whether a value has an accessor from its prototypes. Runs no user code. */
function hasAccessor(value: unknown, accessor: string): boolean {
  for (let object = value; typeof object === "object" && object !== null; object = Object.getPrototypeOf(object)) {
    if (types.isProxy(object)) return false;
    if (Object.getOwnPropertyDescriptor(object, accessor)?.get !== undefined) return true;
  }
  return false;
}
