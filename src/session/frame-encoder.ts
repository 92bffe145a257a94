import { Buffer } from 'node:buffer';

/** The payload of a text frame, in the two parts that it comes in. */
export interface FrameText {
  /** ASCII. */
  readonly head: string;
  readonly tail: string | Buffer;
  /** Of both, UTF-8. */
  readonly bytes: number;
}

/** What a frame has before its payload, at most. */
export const MAX_HEADER_BYTES = 10;

/** A frame that is ready, or the payload of a plain one that is still to be made. */
export type FramePart = FrameText | Buffer;

/** WebSocket frames of messages, made once for all subscribers of a node. */
export interface FrameEncoder {
  plain(text: FrameText): Buffer;
  /** The same compressed (RFC 7692, without context takeover), or undefined where that is off or not worth it. */
  compressed(text: FrameText): Buffer | undefined;
  /** One buffer of several frames. */
  joined(parts: readonly FramePart[]): Buffer;
}

/** @param tailBytes the tail's, UTF-8 */
export function frameText(head: string, tail: string | Buffer, tailBytes = Buffer.byteLength(tail)): FrameText {
  return { head, tail, bytes: head.length + tailBytes };
}
