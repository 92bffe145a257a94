/**
 * What must hold of every recorded history, whatever the test did: checkers over the frames that connections got.
 * Each returns the violations that it found, as sentences.
 */
import type { ServerMessage } from '../../src/protocol/messages.js';

/** One connection's frames, in the order in which they came. */
export interface History {
  readonly id: string;
  readonly frames: readonly { readonly message: ServerMessage }[];
}

/** A frame that says who owns a session. */
type Told = Extract<ServerMessage, { type: 'subscribe_ack' | 'claim_ack' | 'ownership' }>;

function toldBy(history: History): Told[] {
  return history.frames
    .map(({ message }) => message)
    .filter((message): message is Told => ['subscribe_ack', 'claim_ack', 'ownership'].includes(message.type));
}

/** At any epoch at most one connection is told that it owns the session. */
export function oneOwnerPerEpoch(histories: readonly History[]): string[] {
  const violations: string[] = [];
  const owners = new Map<string, string>();
  for (const history of histories) {
    for (const told of toldBy(history)) {
      if (told.owner !== true) continue;
      const key = `${told.session_id} at epoch ${told.owner_epoch}`;
      const other = owners.get(key) ?? history.id;
      owners.set(key, history.id);
      if (other !== history.id) violations.push(`${key} is owned by ${other} and by ${history.id}`);
    }
  }
  return violations;
}

/**
 * In each connection's view every event is newer by (epoch, rev) than the one before, and whoever becomes the owner
 * does so at a new epoch. Events that are older than an acknowledgement are dropped, as the protocol tells clients to.
 */
export function ordered(histories: readonly History[]): string[] {
  const violations: string[] = [];
  for (const history of histories) {
    const known = new Map<string, Told>();
    const lastEvent = new Map<string, Told>();
    for (const told of toldBy(history)) {
      const isEvent = told.type === 'ownership' && told.reason !== 'confirmed';
      const event = lastEvent.get(told.session_id);
      if (isEvent) {
        // An acknowledgement that events had overtaken is followed by the last of them once more.
        const step =
          event === undefined || (told.reason === 'resynced' && compare(told, event) === 0) ? 1 : compare(told, event);
        if (event !== undefined && step <= 0) {
          violations.push(`${history.id}: ${pointOf(told)} after ${pointOf(event)}`);
        }
        lastEvent.set(told.session_id, told);
      }
      const before = known.get(told.session_id);
      if (before !== undefined && isEvent && compare(told, before) <= 0) continue;
      if (before !== undefined && before.state !== 'owned' && told.state === 'owned') {
        if (told.owner_epoch <= before.owner_epoch) {
          violations.push(`${history.id}: ${pointOf(told)} without a new epoch after ${pointOf(before)}`);
        }
      }
      known.set(told.session_id, told);
    }
  }
  return violations;
}

/** Every lapse is told at most once to each connection: no epoch becomes free twice. */
export function freedOnce(histories: readonly History[]): string[] {
  const violations: string[] = [];
  for (const history of histories) {
    const seen = new Set<string>();
    for (const told of toldBy(history)) {
      if (told.type !== 'ownership' || told.state !== 'free') continue;
      const key = `${told.session_id} at epoch ${told.owner_epoch}`;
      if (seen.has(key)) violations.push(`${history.id}: ${key} became free twice`);
      seen.add(key);
    }
  }
  return violations;
}

/** All connections are told the same state for the same (epoch, rev). */
export function agreed(histories: readonly History[]): string[] {
  const violations: string[] = [];
  const states = new Map<string, Told>();
  for (const history of histories) {
    for (const told of toldBy(history)) {
      const key = `${told.session_id} ${told.owner_epoch} ${told.rev}`;
      const other = states.get(key) ?? told;
      states.set(key, other);
      if (other.state !== told.state) violations.push(`${key}: ${other.state} to one, ${told.state} to ${history.id}`);
    }
  }
  return violations;
}

/** Each connection gets every message once and in order, from where its acknowledgement or a reset says. */
export function contiguous(histories: readonly History[]): string[] {
  const violations: string[] = [];
  for (const history of histories) {
    for (const { message, expected } of followed(history)) {
      if (message.offset !== expected) {
        violations.push(`${history.id}: ${message.session_id} offset ${message.offset} where ${expected} is due`);
      }
    }
  }
  return violations;
}

/** No offset is given twice within an epoch: whoever sees it sees the same message. */
export function sameMessages(histories: readonly History[]): string[] {
  const violations: string[] = [];
  const texts = new Map<string, string>();
  for (const history of histories) {
    for (const { message, epoch } of followed(history)) {
      const key = `${message.session_id} offset ${message.offset} of ${epoch}`;
      const text = JSON.stringify(message);
      const other = texts.get(key) ?? text;
      texts.set(key, other);
      if (other !== text) violations.push(`${key} is another message to ${history.id}: ${text} and ${other}`);
    }
  }
  return violations;
}

/** All of the above. */
export function violationsIn(histories: readonly History[]): string[] {
  const checks = [oneOwnerPerEpoch, ordered, freedOnce, agreed, contiguous, sameMessages];
  return checks.flatMap((check) => check(histories));
}

type MessageFrame = Extract<ServerMessage, { type: 'message' }>;

/** The kept messages of a history, with the epoch that they belong to and the offset that was due. */
function* followed(history: History): Generator<{ message: MessageFrame; epoch: string; expected: number }> {
  const positions = new Map<string, { epoch: string; offset: number }>();
  for (const { message } of history.frames) {
    if (message.type === 'subscribe_ack' || message.type === 'reset') {
      positions.set(message.session_id, { ...message.position });
    }
    if (message.type !== 'message' || message.ephemeral) continue;
    const position = positions.get(message.session_id) ?? { epoch: 'unsubscribed', offset: Number.NaN };
    yield { message, epoch: position.epoch, expected: position.offset + 1 };
    position.offset = message.offset;
  }
}

function compare(a: Told, b: Told): number {
  return a.owner_epoch - b.owner_epoch || a.rev - b.rev;
}

function pointOf({ type, session_id, state, owner_epoch, rev }: Told): string {
  return `${type} ${session_id} ${state} (${owner_epoch}, ${rev})`;
}
