/** Text frames as bytes (RFC 6455 section 5.2): one buffer and one write, where `ws` would write header and payload. */
import { constants, deflateRawSync } from 'node:zlib';
import type { FrameEncoder } from '../session/frame-encoder.js';

const FINAL_TEXT = 0x81;
/** RSV1: the payload is compressed (RFC 7692 section 6). */
const FINAL_COMPRESSED_TEXT = 0xc1;
const MAX_SHORT = 125;
const MAX_MEDIUM = 0xffff;
const MEDIUM = 126;
const LONG = 127;

/** What a flush leaves at the end; the reader puts it back (RFC 7692 section 7.2.1). */
const FLUSH_MARK_BYTES = 4;
const FLUSHED = { finishFlush: constants.Z_SYNC_FLUSH } as const;

function headerBytes(bytes: number): number {
  return bytes <= MAX_SHORT ? 2 : bytes <= MAX_MEDIUM ? 4 : 10;
}

/**
 * Begins a frame, unfragmented and unmasked as servers send them.
 * @returns where its payload of `bytes` is to be written
 */
function writeHeader(target: Buffer, at: number, opening: number, bytes: number): number {
  target[at] = opening;
  if (bytes <= MAX_SHORT) {
    target[at + 1] = bytes;
  } else if (bytes <= MAX_MEDIUM) {
    target[at + 1] = MEDIUM;
    target.writeUInt16BE(bytes, at + 2);
  } else {
    target[at + 1] = LONG;
    target.writeBigUInt64BE(BigInt(bytes), at + 2);
  }
  return at + headerBytes(bytes);
}

/** A frame whose last `bytes` are still to be filled in. */
function emptyFrame(opening: number, bytes: number): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes(bytes) + bytes);
  writeHeader(frame, 0, opening, bytes);
  return frame;
}

export function textFrame(payload: string): Buffer {
  return joinedFrames([payload]);
}

/** One buffer of several frames: those of texts, and ones that are ready. */
export function joinedFrames(parts: readonly (string | Buffer)[]): Buffer {
  let total = 0;
  const sizes = parts.map((part) => {
    const bytes = typeof part === 'string' ? Buffer.byteLength(part) : part.length;
    total += typeof part === 'string' ? headerBytes(bytes) + bytes : bytes;
    return bytes;
  });
  const frames = Buffer.allocUnsafe(total);
  let at = 0;
  for (const [index, part] of parts.entries()) {
    if (typeof part !== 'string') at += part.copy(frames, at);
    else {
      at = writeHeader(frames, at, FINAL_TEXT, sizes[index] ?? 0);
      at += frames.write(part, at);
    }
  }
  return frames;
}

/** @param compressAboveBytes payloads that are longer may be compressed; 0: none are */
export function frameEncoder(compressAboveBytes: number): FrameEncoder {
  return {
    plain(head, tail) {
      const bytes = head.length + tail.length;
      const frame = emptyFrame(FINAL_TEXT, bytes);
      const start = frame.length - bytes;
      frame.write(head, start, 'latin1');
      tail.copy(frame, start + head.length);
      return frame;
    },
    compressed(head, tail) {
      const bytes = head.length + tail.length;
      if (compressAboveBytes === 0 || bytes <= compressAboveBytes) return undefined;
      const deflated = deflateRawSync(Buffer.concat([Buffer.from(head, 'latin1'), tail], bytes), FLUSHED);
      const payload = deflated.subarray(0, -FLUSH_MARK_BYTES);
      if (payload.length >= bytes) return undefined;
      const frame = emptyFrame(FINAL_COMPRESSED_TEXT, payload.length);
      payload.copy(frame, frame.length - payload.length);
      return frame;
    },
  };
}
