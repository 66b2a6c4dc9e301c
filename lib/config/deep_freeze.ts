/** Freezes an object and all that it holds, so that nobody changes what others rely on. Returns it. */
export function deepFreeze<T>(value: T): T {
  // Elements of typed arrays cannot be frozen.
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
