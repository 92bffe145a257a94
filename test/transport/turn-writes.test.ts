import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { textFrame } from '../../src/transport/frame.js';
import { TurnWrites } from '../../src/transport/turn-writes.js';

class Writer {
  readonly writes: Buffer[] = [];

  writeNow(frames: Buffer): void {
    this.writes.push(frames);
  }
}

describe('the writes of a turn', () => {
  let turn: TurnWrites;
  let alice: Writer;
  let bob: Writer;

  beforeEach(() => {
    turn = new TurnWrites();
    alice = new Writer();
    bob = new Writer();
  });

  it('are one for each, in the order of what was added, whatever its length', async () => {
    const parts = ['short', 'é'.repeat(100), textFrame('ready'), 'x'.repeat(70_000)];
    for (const part of parts) turn.add(alice, part);
    turn.add(bob, 'other');
    expect(alice.writes).toEqual([]);
    await nextTurn();
    const frames = parts.map((part) => (typeof part === 'string' ? textFrame(part) : part));
    expect(alice.writes).toEqual([Buffer.concat(frames)]);
    expect(bob.writes).toEqual([textFrame('other')]);
  });

  it('come earlier where they are asked for, and not again', async () => {
    turn.add(alice, 'first');
    turn.add(bob, 'other');
    expect(turn.has(alice)).toBe(true);
    turn.flush(alice);
    expect(turn.has(alice)).toBe(false);
    expect(alice.writes).toEqual([textFrame('first')]);
    turn.add(alice, 'second');
    await nextTurn();
    expect(alice.writes).toEqual([textFrame('first'), textFrame('second')]);
    expect(bob.writes).toHaveLength(1);
    await nextTurn();
    expect(alice.writes).toHaveLength(2);
  });

  it('pass on a ready frame as it is, so that one serves many', async () => {
    const frame = textFrame('to all');
    turn.add(alice, frame);
    turn.add(bob, frame);
    await nextTurn();
    expect([alice.writes[0], bob.writes[0]]).toEqual([frame, frame]);
    expect(alice.writes[0]).toBe(bob.writes[0]);
  });
});
