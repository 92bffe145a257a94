import { describe, expect, test } from 'vitest';
import type { OwnershipMessage, ServerMessage } from '../../src/protocol/messages.js';
import {
  agreed,
  contiguous,
  freedOnce,
  type History,
  oneOwnerPerEpoch,
  ordered,
  sameMessages,
  violationsIn,
} from '../support/invariants.js';

const SESSION = 'doc:1';

function event(owner_epoch: number, rev: number, rest: Partial<OwnershipMessage> = {}): OwnershipMessage {
  return { type: 'ownership', session_id: SESSION, state: 'owned', reason: 'claimed', owner_epoch, rev, ...rest };
}

function ack(owner_epoch: number, rev: number, owner: boolean): ServerMessage {
  const position = { epoch: 'e1', offset: 0 };
  return {
    type: 'subscribe_ack',
    session_id: SESSION,
    state: 'owned',
    owner,
    owner_epoch,
    rev,
    grace_ms: 1_000,
    position,
  };
}

const free = (epoch: number, rev: number) => event(epoch, rev, { state: 'free', reason: 'expired' });
const held = (epoch: number, rev: number) => event(epoch, rev, { state: 'held', reason: 'disconnected' });

function message(offset: number): Extract<ServerMessage, { type: 'message' }> {
  return { type: 'message', session_id: SESSION, offset, at: 1, data: `message ${offset}` };
}

function reset(epoch: string, offset: number): ServerMessage {
  return { type: 'reset', session_id: SESSION, position: { epoch, offset }, recovered: false };
}

function history(id: string, ...messages: ServerMessage[]): History {
  return { id, frames: messages.map((message) => ({ message })) };
}

describe('the checkers of recorded histories', () => {
  test('find nothing in a history that is right', () => {
    const owner = history('a', ack(10, 1, true));
    const next = history('c', ack(20, 3, true), event(20, 3, { owner: true }), event(20, 3, { reason: 'confirmed' }));
    const watcher = history('b', ack(10, 1, false), held(10, 2), event(20, 3), held(20, 4), free(20, 5), event(30, 6));
    expect(violationsIn([owner, next, watcher])).toEqual([]);
  });

  test('two owners at one epoch', () => {
    expect(oneOwnerPerEpoch([history('a', ack(10, 1, true)), history('b', ack(10, 1, true))])).toHaveLength(1);
  });

  test('an event that goes back', () => {
    expect(ordered([history('a', event(20, 3), held(10, 2))])).toHaveLength(1);
  });

  test('an event that comes twice', () => {
    expect(ordered([history('a', held(10, 2), held(10, 2))])).toHaveLength(1);
  });

  test('an owner without a new epoch', () => {
    expect(ordered([history('a', free(10, 2), event(10, 3))])).toHaveLength(1);
    expect(ordered([history('a', held(10, 2), ack(10, 3, true))])).toHaveLength(1);
  });

  test('an event older than an acknowledgement is nothing', () => {
    expect(ordered([history('a', ack(20, 3, false), held(10, 2), held(20, 4))])).toEqual([]);
  });

  test('one lapse that is told twice', () => {
    expect(freedOnce([history('a', free(10, 2), free(10, 3))])).toHaveLength(1);
  });

  test('two truths for one point', () => {
    expect(agreed([history('a', held(10, 2)), history('b', free(10, 2))])).toHaveLength(1);
  });

  test('messages that skip an offset, come twice, or come before the acknowledgement', () => {
    const start = ack(10, 1, false);
    expect(contiguous([history('a', start, message(1), message(2))])).toEqual([]);
    expect(contiguous([history('a', start, message(1), message(3))])).toHaveLength(1);
    expect(contiguous([history('a', start, message(1), message(1))])).toHaveLength(1);
    expect(contiguous([history('a', message(1))])).toHaveLength(1);
    expect(contiguous([history('a', start, message(1), reset('e2', 7), message(8))])).toEqual([]);
    expect(contiguous([history('a', start, message(1), { ...message(1), ephemeral: true }, message(2))])).toEqual([]);
  });

  test('an offset that is two messages', () => {
    const start = ack(10, 1, false);
    const other = { ...message(1), data: 'other' };
    expect(sameMessages([history('a', start, message(1)), history('b', start, message(1))])).toEqual([]);
    expect(sameMessages([history('a', start, message(1)), history('b', start, other)])).toHaveLength(1);
    expect(sameMessages([history('a', start, message(1)), history('b', start, reset('e2', 0), other)])).toEqual([]);
  });
});
