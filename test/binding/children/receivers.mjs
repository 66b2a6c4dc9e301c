/** Methods and accessors of each class on everything that is no instance of it. Prints what did not throw TypeError. */
import { native, thrown } from "./addon.mjs";

const { Device, Graph, Tensor } = native;
const device = new Device(process.argv[2], 0, 1);
const tensor = new Tensor(device, "f32", [2]);
device.beginCapture();
const graph = device.endCapture();
const wrong = [];
for (const [type, own, stranger] of [
  [Tensor, tensor, device],
  [Device, device, tensor],
  [Graph, graph, tensor],
]) {
  const receivers = {
    "an instance of the other class": stranger,
    "a plain object": {},
    null: null,
    undefined,
    "a number": 1,
    "the class": type,
    "the prototype": type.prototype,
    "a spoof": Object.create(type.prototype),
    "a child object": Object.create(own),
    "a proxy": new Proxy(own, {}),
  };
  for (const key of Object.getOwnPropertyNames(type.prototype)) {
    if (key === "constructor") continue;
    const property = Object.getOwnPropertyDescriptor(type.prototype, key);
    for (const [name, receiver] of Object.entries(receivers)) {
      const error = thrown(() => Reflect.apply(property.get ?? property.value, receiver, [[2]]));
      if (error !== "TypeError") wrong.push(`${type.name}.${key} on ${name}: ${error}`);
    }
  }
}
console.log(JSON.stringify(wrong));
