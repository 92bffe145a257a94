/** Text frames as bytes (RFC 6455 section 5.2): one buffer and one write, where `ws` would write header and payload. */
import { Buffer } from 'node:buffer';
import { constants, deflateRawSync } from 'node:zlib';
import type { FrameEncoder, FramePart, FrameText } from '../session/frame-encoder.js';

export const FINAL_TEXT = 0x81;
/** RSV1: the payload is compressed (RFC 7692 section 6). */
const FINAL_COMPRESSED_TEXT = 0xc1;
export const MAX_SHORT = 125;
const MAX_MEDIUM = 0xffff;
/** In place of the length, which is in the two bytes that follow. */
export const MEDIUM = 126;
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

export function textFrame(payload: string): Buffer {
  return joinedFrames([payload]);
}

/** One buffer of several frames: those of texts, and ones that are ready. One that is alone and ready is passed on. */
export function joinedFrames(parts: readonly (string | FramePart)[]): Buffer {
  const [first] = parts;
  if (parts.length === 1 && Buffer.isBuffer(first)) return first;
  return asciiFrames(parts) ?? anyFrames(parts);
}

/**
 * Of texts that are ASCII, as nearly all are: one string, with the headers as characters in between, and one call that
 * makes bytes of it, since a call for each text costs more than all the rest.
 * @returns undefined where a part is another kind
 */
function asciiFrames(parts: readonly (string | FramePart)[]): Buffer | undefined {
  let frames = '';
  let header = '';
  let headerIsFor = -1;
  for (const part of parts) {
    const text = asciiOf(part);
    if (text === undefined || text.length > MAX_MEDIUM) return undefined;
    // Most of a turn are as long as the one before.
    if (text.length !== headerIsFor) {
      headerIsFor = text.length;
      header = headerText(headerIsFor);
    }
    frames += header + text;
  }
  return Buffer.from(frames, 'latin1');
}

function headerText(length: number): string {
  return length <= MAX_SHORT
    ? String.fromCharCode(FINAL_TEXT, length)
    : String.fromCharCode(FINAL_TEXT, MEDIUM, length >> 8, length & 0xff);
}

function asciiOf(part: string | FramePart): string | undefined {
  if (typeof part === 'string') return part.length === Buffer.byteLength(part) ? part : undefined;
  if (Buffer.isBuffer(part)) return undefined;
  const { head, tail, bytes } = part;
  return typeof tail === 'string' && head.length + tail.length === bytes ? head + tail : undefined;
}

function anyFrames(parts: readonly (string | FramePart)[]): Buffer {
  let total = 0;
  for (const part of parts) {
    const bytes = bytesOf(part);
    total += Buffer.isBuffer(part) ? bytes : headerBytes(bytes) + bytes;
  }
  const frames = Buffer.allocUnsafe(total);
  let at = 0;
  for (const part of parts) {
    if (Buffer.isBuffer(part)) at += part.copy(frames, at);
    else at = writePayload(frames, writeHeader(frames, at, FINAL_TEXT, bytesOf(part)), part);
  }
  return frames;
}

function bytesOf(part: string | FramePart): number {
  if (typeof part === 'string') return Buffer.byteLength(part);
  return Buffer.isBuffer(part) ? part.length : part.bytes;
}

/** @returns where it ends */
function writePayload(target: Buffer, at: number, text: string | FrameText): number {
  if (typeof text === 'string') return at + target.write(text, at);
  const { head, tail } = text;
  const tailAt = at + target.write(head, at);
  return tailAt + (typeof tail === 'string' ? target.write(tail, tailAt) : tail.copy(target, tailAt));
}

/** @param compressAboveBytes payloads that are longer may be compressed; 0: none are */
export function frameEncoder(compressAboveBytes: number): FrameEncoder {
  return {
    plain: (text) => joinedFrames([text]),
    compressed(text) {
      const { bytes } = text;
      if (compressAboveBytes === 0 || bytes <= compressAboveBytes) return undefined;
      const deflated = deflateRawSync(payloadOf(text), FLUSHED);
      const payload = deflated.subarray(0, -FLUSH_MARK_BYTES);
      if (payload.length >= bytes) return undefined;
      const frame = Buffer.allocUnsafe(headerBytes(payload.length) + payload.length);
      payload.copy(frame, writeHeader(frame, 0, FINAL_COMPRESSED_TEXT, payload.length));
      return frame;
    },
    joined: joinedFrames,
  };
}

function payloadOf({ head, tail }: FrameText): Buffer {
  return typeof tail === 'string' ? Buffer.from(head + tail) : Buffer.concat([Buffer.from(head), tail]);
}
