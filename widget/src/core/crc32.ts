/** CRC-32 (IEEE 802.3) of a text's UTF-8 bytes, unsigned: what `answer.done` is checked with. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

const UTF8 = new TextEncoder();

export function crc32(text: string): number {
  let rest = 0xffffffff;
  for (const byte of UTF8.encode(text)) rest = (rest >>> 8) ^ TABLE[(rest ^ byte) & 0xff]!;
  return (rest ^ 0xffffffff) >>> 0;
}
