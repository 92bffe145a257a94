/**
 * The definition of a session's messages: stream, request and the store's time in; answer and what to publish out.
 * The memory store runs it; the Redis scripts mirror it, and one contract suite and one model test hold both to it.
 * A step changes the stream in place, since histories are long and messages frequent; it knows nothing else.
 */
import type { Position } from '../protocol/messages.js';
import { EntryRing } from './entry-ring.js';
import {
  type AppendOutcome,
  type AppendRequest,
  type HistoryEntry,
  type HistoryRange,
  IDEMPOTENCY_MS,
  type ItemResult,
  type MessageBatch,
  type MessageItem,
  type PublishedMessage,
  type Retention,
  type StreamState,
} from './message-ports.js';
import type { SessionRecord } from './record.js';

const MAX_FORKS = 8;
const MAX_READ_BYTES = 262_144;
/** Beyond so many, writers are forgotten that were not seen for that long. */
const MAX_WRITERS = 16;
const WRITER_IDLE_MS = 60_000;
/** A full history is trimmed by that part of its bounds, and looked at for age that often in its maximum age. */
const SLACK = 16;

export interface Stream {
  /** The first epoch: another after the session's messages were removed. */
  readonly born: string;
  epoch: string;
  top: number;
  first: number;
  /** Which run of the store began the epoch. */
  runId: string;
  forks: readonly Position[];
  /** From `first` to `top`. */
  readonly entries: EntryRing;
  /** Of the entries' tails. */
  bytes: number;
  /** When all entries are over, ms. */
  untilMs: number;
  /** When to look for entries that are over by themselves, ms. */
  agedMs: number;
  readonly writers: Map<string, { sequence: number; atMs: number; outcome: AppendOutcome }>;
}

/** What an idempotency hash stands for. */
export interface SentMessage {
  /** The stream that the offset is of, by its first epoch. */
  born: string;
  offset: number;
  fingerprint: string;
}

/** What the step sees besides the stream. */
export interface HistoryContext {
  nowMs: number;
  nowUs: number;
  /** Changes whenever the store may have lost what it had last: with a start, with a replica that takes over. */
  runId: string;
  owner: Pick<SessionRecord, 'state' | 'connectionId' | 'epoch'>;
  /** The messages of the last 5 minutes that have one. */
  sent: { get(hash: string): SentMessage | undefined; set(hash: string, message: SentMessage, keepMs: number): void };
}

export function newStream({ nowUs, runId }: Pick<HistoryContext, 'nowUs' | 'runId'>): Stream {
  const epoch = String(nowUs);
  const nothing = { forks: [], bytes: 0, untilMs: 0, agedMs: 0 };
  return { born: epoch, epoch, top: 0, first: 1, runId, ...nothing, entries: new EntryRing(), writers: new Map() };
}

/** What a session is told to have that has no stream. */
export const NO_STREAM: StreamState = Object.freeze({ epoch: '', top: 0, first: 1, forks: [] });

export function stateOf(stream: Stream, nowMs: number): StreamState {
  expire(stream, nowMs);
  const { epoch, top, first, forks } = stream;
  return { epoch, top, first, forks };
}

/** Drops a history whose time is over. To be called before the stream is looked at. */
export function expire(stream: Stream, nowMs: number): void {
  if (stream.untilMs <= nowMs) dropOldest(stream, stream.entries.length);
}

/** @returns the answer, and what all subscribers get, if anything */
export function append(
  stream: Stream,
  request: AppendRequest,
  context: HistoryContext,
): { outcome: AppendOutcome; batch?: MessageBatch } {
  const { sessionId, writerId, sequence, retention } = request;
  const { nowMs } = context;
  const answered = stream.writers.get(writerId);
  if (answered?.sequence === sequence) return { outcome: answered.outcome };
  if (answered !== undefined && answered.sequence > sequence) {
    return { outcome: { epoch: stream.epoch, top: stream.top, results: [] } };
  }
  expire(stream, nowMs);
  const messages: PublishedMessage[] = [];
  const results: ItemResult[] = [];
  for (const item of request.items) results.push(accept(stream, item, retention, context, messages));
  if (messages.length > 0) {
    trim(stream, retention, nowMs);
    stream.untilMs = nowMs + retention.maxAgeMs;
  }
  const { epoch, top } = stream;
  const outcome = { epoch, top, results };
  remember(stream, writerId, sequence, outcome, nowMs);
  if (messages.length === 0) return { outcome };
  return { outcome, batch: { kind: 'messages', sessionId, epoch, atMs: nowMs, messages } };
}

/** Oldest first; at most `limit`, and what exceeds 256 KiB by one message. */
export function readRange(stream: Stream, range: HistoryRange, limit: number, nowMs: number): HistoryEntry[] {
  expire(stream, nowMs);
  const { entries, first } = stream;
  const forward = 'after' in range;
  const step = forward ? 1 : -1;
  let index = forward ? Math.max(range.after + 1 - first, 0) : Math.min(range.before - 1 - first, entries.length - 1);
  let bytes = 0;
  const read: HistoryEntry[] = [];
  while (read.length < limit && bytes < MAX_READ_BYTES) {
    const entry = entries.at(index);
    if (entry === undefined) break;
    read.push({ offset: first + index, atMs: entry.atMs, tail: Buffer.from(entry.tail) });
    bytes += entry.bytes;
    index += step;
  }
  return forward ? read : read.reverse();
}

/** Drops the messages up to and including `through`. */
export function truncate(stream: Stream, through: number): void {
  dropOldest(stream, Math.min(through + 1 - stream.first, stream.entries.length));
}

/** Judges one item and, if it is accepted, stores it and adds it to the messages to publish. */
function accept(
  stream: Stream,
  item: MessageItem,
  retention: Retention,
  context: HistoryContext,
  messages: PublishedMessage[],
): ItemResult {
  const { idempotency, ephemeral } = item;
  const known = idempotency && context.sent.get(idempotency.hash);
  if (known?.born === stream.born) {
    if (known.fingerprint !== idempotency?.fingerprint) return { result: 'idempotency_conflict' };
    return { result: 'duplicate', offset: known.offset };
  }
  if (item.owner !== undefined && !isOwner(item.owner, context.owner)) return { result: 'not_owner' };
  const { expectedOwnerEpoch = context.owner.epoch, expectedOffset = stream.top } = item;
  if (expectedOwnerEpoch !== context.owner.epoch) return { result: 'stale_epoch' };
  if (expectedOffset !== stream.top) return { result: 'offset_conflict' };
  const { tail, bytes } = item;
  if (!ephemeral && isFull(stream, bytes, retention)) return { result: 'history_full' };
  enterRun(stream, context);
  if (!ephemeral) push(stream, context.nowMs, tail, bytes);
  const offset = stream.top;
  messages.push({ offset, ephemeral, tail, bytes });
  if (idempotency !== undefined) {
    const { hash, fingerprint, keepMs = IDEMPOTENCY_MS } = idempotency;
    context.sent.set(hash, { born: stream.born, offset, fingerprint }, keepMs);
  }
  return { result: 'accepted', offset };
}

/** Whether the deadline has passed does not matter: while nobody else was let in, the owner's messages are wanted. */
function isOwner(sender: NonNullable<MessageItem['owner']>, owner: HistoryContext['owner']): boolean {
  return owner.state !== 'free' && owner.connectionId === sender.connectionId && owner.epoch === sender.epoch;
}

function isFull({ entries, bytes }: Stream, size: number, { whenFull, maxCount, maxBytes }: Retention): boolean {
  return whenFull === 'refuse' && (entries.length + 1 > maxCount || bytes + size > maxBytes);
}

/**
 * Another run of the store may not know the last offsets that were given: they must not be given again in this epoch.
 * It may have lost all of them, so that this holds for a stream that looks unused too.
 */
function enterRun(stream: Stream, { runId, nowUs }: HistoryContext): void {
  if (stream.runId === runId) return;
  stream.forks = [{ epoch: stream.epoch, offset: stream.top }, ...stream.forks].slice(0, MAX_FORKS);
  stream.epoch = String(Math.max(Number(stream.epoch) + 1, nowUs));
  stream.runId = runId;
}

function push(stream: Stream, atMs: number, tail: string, bytes: number): void {
  stream.top += 1;
  stream.entries.push(atMs, tail, bytes);
  stream.bytes += bytes;
}

function dropOldest(stream: Stream, count: number): void {
  for (let left = count; left > 0; left -= 1) {
    stream.bytes -= stream.entries.dropOldest();
    stream.first += 1;
  }
}

/** Drops more than it must, so that not every message costs a trim. */
function trim(stream: Stream, { maxCount, maxBytes, maxAgeMs }: Retention, nowMs: number): void {
  const { entries } = stream;
  if (entries.length > maxCount || stream.bytes > maxBytes) {
    const count = maxCount - Math.floor(maxCount / SLACK);
    const bytes = maxBytes - Math.floor(maxBytes / SLACK);
    let dropped = Math.max(entries.length - count, 0);
    let left = stream.bytes;
    for (let i = 0; i < entries.length && (i < dropped || left > bytes); i += 1) {
      left -= entries.at(i)?.bytes ?? 0;
      dropped = Math.max(dropped, i + 1);
    }
    dropOldest(stream, dropped);
  }
  if (nowMs >= stream.agedMs) {
    while ((entries.at(0)?.atMs ?? nowMs) < nowMs - maxAgeMs) dropOldest(stream, 1);
    stream.agedMs = nowMs + Math.floor(maxAgeMs / SLACK);
  }
}

function remember(stream: Stream, writerId: string, sequence: number, outcome: AppendOutcome, nowMs: number): void {
  const { writers } = stream;
  writers.set(writerId, { sequence, atMs: nowMs, outcome });
  if (writers.size <= MAX_WRITERS) return;
  for (const [id, { atMs }] of writers) {
    if (nowMs - atMs > WRITER_IDLE_MS) writers.delete(id);
  }
}
