/** Passes another module's native pointer where a constructor looks for its own. Prints the error. */
import { createServer } from "node:net";
import { native, thrown } from "./addon.mjs";

const { Device, Tensor } = native;
const device = new Device(process.argv[2], 0, 1);
const server = createServer().listen(0, () => {
  const pointer = server._handle._externalStream;
  console.log(
    JSON.stringify([
      thrown(() => new Tensor(device, pointer, [1])),
      thrown(() => new Tensor(pointer, pointer, pointer)),
      thrown(() => new Tensor(device, "f32", pointer)),
      thrown(() => new Device(pointer, pointer, pointer)),
      thrown(() => native.fill(pointer, 1)),
    ]),
  );
  server.close();
});
