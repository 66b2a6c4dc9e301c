import { deflateSync, inflateSync } from "node:zlib";
import { expect, it } from "@jest/globals";
import { read, withPalette } from "../../scripts/palette_png.js";

const [width, height] = [7, 5];

/** A PNG of made-up pixels, whose rows are filtered in each of the five ways. */
function made(channels: 3 | 4): { png: Buffer; pixels: number[] } {
  const value = (x: number, y: number, c: number) => (c === 3 ? 255 : (37 * x + 91 * y * (c + 1)) % 256);
  const byte = (x: number, y: number): number =>
    x < 0 || y < 0 ? 0 : value(Math.floor(x / channels), y, x % channels);
  const rows: number[] = [];
  for (let y = 0; y < height; y++) {
    rows.push(y); // the filter
    for (let x = 0; x < width * channels; x++) {
      const [left, up, corner] = [byte(x - channels, y), byte(x, y - 1), x < channels ? 0 : byte(x - channels, y - 1)];
      const guess = left + up - corner;
      const paeth = [left, up, corner].reduce((best, each) =>
        Math.abs(guess - each) < Math.abs(guess - best) ? each : best,
      );
      rows.push((byte(x, y) - [0, left, up, (left + up) >> 1, paeth][y]! + 256) % 256);
    }
  }
  const chunk = (type: string, data: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, Buffer.from(type), data, Buffer.alloc(4)]); // the reader takes any checksum
  };
  const header = Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, channels === 3 ? 2 : 6, 0, 0, 0]);
  const parts = [chunk("IHDR", header), chunk("IDAT", deflateSync(Buffer.from(rows))), chunk("IEND", Buffer.alloc(0))];
  const pixels = Array.from({ length: width * height }, (_, i) =>
    [0, 1, 2].reduce((sum, c) => 256 * sum + value(i % width, Math.floor(i / width), c), 0),
  );
  return { png: Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), ...parts]), pixels };
}

/** The pixels of a file that `withPalette` wrote: a byte a pixel, without filters. */
function shown(png: Buffer): number[] {
  const at = (type: string) => png.indexOf(type);
  const data = (type: string) => png.subarray(at(type) + 4, at(type) + 4 + png.readUInt32BE(at(type) - 4));
  const [palette, rows] = [data("PLTE"), inflateSync(data("IDAT"))];
  return Array.from({ length: width * height }, (_, i) => {
    const index = rows[Math.floor(i / width) * (width + 1) + 1 + (i % width)]!;
    return palette.readUIntBE(3 * index, 3);
  });
}

it.each([3, 4] as const)("reads %i channels in every filter", (channels) => {
  const { png, pixels } = made(channels);
  expect([...read(png).pixels]).toEqual(pixels);
});

it("keeps every pixel if there are colours enough", () => {
  const { png, pixels } = made(3);
  expect(shown(withPalette(png, 256))).toEqual(pixels);
});

it("takes the nearest of the most frequent colours else", () => {
  const { png, pixels } = made(3);
  const kept = new Set(shown(withPalette(png, 4)));
  expect(kept.size).toBeLessThanOrEqual(4);
  for (const color of kept) expect(pixels).toContain(color);
});

it("refuses what is no PNG", () => {
  expect(() => withPalette(Buffer.from("GIF89a"), 4)).toThrow("expected a PNG");
});
