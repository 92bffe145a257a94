/**
 * The bytes of `message` frames. A frame is a head, which has what the store gives, and a tail, which whoever publishes
 * renders once; stores and nodes pass the tail on as it is.
 */
import { HoldfastError } from '../protocol/errors.js';
import type { StoredMessage } from '../protocol/http.js';
import type { Payload } from '../protocol/messages.js';
import type { HistoryEntry } from './message-ports.js';

/** Deeper values could be stored and then not be written as part of an answer: both are limited by the stack. */
export const MAX_DEPTH = 256;

/** Text that JSON writes as it is: no quote, backslash or control character, and no surrogate, which may stand alone. */
const PLAIN = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

/** What of a message the sender says, or its node. */
export interface MessageTail {
  ephemeral?: boolean | undefined;
  /** Of the owner that sends it. */
  ownerEpoch?: number | undefined;
  /** The sender's, where subscribers may see it. */
  principal?: string | undefined;
}

/** ASCII, since session ids are. */
export function messageHead(sessionId: string, offset: number, atMs: number): string {
  return `{"type":"message","session_id":"${sessionId}","offset":${offset},"at":${atMs}`;
}

/** @param payload as `payloadText` renders it */
export function messageTail({ ephemeral, ownerEpoch, principal }: MessageTail, payload: string): string {
  let tail = '';
  if (ephemeral === true) tail += ',"ephemeral":true';
  if (ownerEpoch !== undefined) tail += `,"owner_epoch":${ownerEpoch}`;
  if (principal !== undefined) tail += `,"principal":${JSON.stringify(principal)}`;
  return tail + payload;
}

/**
 * A payload as the end of a tail.
 * @throws HoldfastError `invalid_field` for data that is nested too deep
 */
export function payloadText(payload: Payload): string {
  if ('bytes' in payload) return `,"bytes":${JSON.stringify(payload.bytes)}}`;
  const { data } = payload;
  // In half the time that JSON.stringify takes.
  if (typeof data === 'string' && PLAIN.test(data)) return `,"data":"${data}"}`;
  if (isDeeperThan(MAX_DEPTH, data)) {
    throw new HoldfastError('invalid_field', `data is nested deeper than ${MAX_DEPTH} levels`, { field: 'data' });
  }
  return `,"data":${JSON.stringify(data)}}`;
}

/** A message of the history as HTTP has it. */
export function storedMessage({ offset, atMs, tail }: HistoryEntry): StoredMessage {
  return JSON.parse(`{"offset":${offset},"at":${atMs}${tail.toString()}`) as StoredMessage;
}

function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  return Object.values(value).some((inner) => isDeeperThan(depth - 1, inner));
}
