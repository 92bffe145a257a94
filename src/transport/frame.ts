/** Text frames as bytes (RFC 6455 section 5.2): one buffer and one write, where `ws` would write header and payload. */

const FINAL_TEXT = 0x81;
const MAX_SHORT = 125;
const MAX_MEDIUM = 0xffff;
const MEDIUM = 126;
const LONG = 127;

/** An unfragmented, unmasked, uncompressed text frame, as servers send them. */
export function textFrame(payload: string): Buffer {
  const bytes = Buffer.byteLength(payload);
  const start = bytes <= MAX_SHORT ? 2 : bytes <= MAX_MEDIUM ? 4 : 10;
  const frame = Buffer.allocUnsafe(start + bytes);
  frame[0] = FINAL_TEXT;
  if (bytes <= MAX_SHORT) {
    frame[1] = bytes;
  } else if (bytes <= MAX_MEDIUM) {
    frame[1] = MEDIUM;
    frame.writeUInt16BE(bytes, 2);
  } else {
    frame[1] = LONG;
    frame.writeBigUInt64BE(BigInt(bytes), 2);
  }
  frame.write(payload, start);
  return frame;
}
