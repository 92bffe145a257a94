/**
 * The bytes of `message` frames. A frame is a head, which has what the store gives, and a tail, which whoever publishes
 * renders once; stores and nodes pass the tail on as it is.
 */
import { Buffer } from 'node:buffer';
import type { StoredMessage } from '../protocol/http.js';
import type { PayloadText } from '../protocol/messages.js';
import type { HistoryEntry, MessageItem } from './message-ports.js';

/** What of a message the sender says, or its node. */
export interface MessageTail {
  ephemeral?: boolean | undefined;
  /** Of the owner that sends it. */
  ownerEpoch?: number | undefined;
  /** The sender's, where subscribers may see it. */
  principal?: string | undefined;
}

export type Tail = Pick<MessageItem, 'tail' | 'bytes'>;

/** What all frames of a session begin with. ASCII, since session ids are. */
export function messageStart(sessionId: string): string {
  return `{"type":"message","session_id":"${sessionId}","offset":`;
}

/** Those of one batch have the same time. */
let lastTime = { atMs: Number.NaN, text: '' };

/** @param start the session's */
export function messageHead(start: string, offset: number, atMs: number): string {
  if (atMs !== lastTime.atMs) lastTime = { atMs, text: `,"at":${atMs}` };
  return start + offset + lastTime.text;
}

/** @returns it with its bytes, UTF-8 */
export function messageTail({ ephemeral, ownerEpoch, principal }: MessageTail, payload: PayloadText): Tail {
  let before = '';
  if (ephemeral === true) before += ',"ephemeral":true';
  if (ownerEpoch !== undefined) before += `,"owner_epoch":${ownerEpoch}`;
  if (principal !== undefined) before += `,"principal":${JSON.stringify(principal)}`;
  // Only a principal can be anything but ASCII.
  const bytes = principal === undefined ? before.length : Buffer.byteLength(before);
  return { tail: before + payload.text, bytes: bytes + (payload.bytes ?? Buffer.byteLength(payload.text)) };
}

/** A message of the history as HTTP has it. */
export function storedMessage({ offset, atMs, tail }: HistoryEntry): StoredMessage {
  return JSON.parse(`{"offset":${offset},"at":${atMs}${tail.toString()}`) as StoredMessage;
}
