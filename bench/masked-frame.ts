/** Any will do, but zeros: some servers look for those. This is the example of RFC 6455 section 5.7. */
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** A client's text frame. */
export function maskedFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const long = payload.length > 0xffff;
  const start = payload.length < 126 ? 2 : long ? 10 : 4;
  const frame = Buffer.alloc(start + 4 + payload.length);
  frame[0] = 0x81;
  if (start === 2) frame[1] = 0x80 | payload.length;
  else if (long) {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(payload.length), 2);
  } else {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(payload.length, 2);
  }
  MASK.copy(frame, start);
  for (let index = 0; index < payload.length; index++) {
    frame[start + 4 + index] = (payload[index] ?? 0) ^ (MASK[index & 3] ?? 0);
  }
  return frame;
}
