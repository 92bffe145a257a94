import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { FanOut, MAX_WRITE_BYTES } from '../../src/session/fan-out.js';
import { frameText } from '../../src/session/frame-encoder.js';
import { FakeSubscriber, LINES } from './domain-harness.js';

const LAG_BYTES = 1_000;

let offset = 0;
let lagging: [string, number][];
let delivered: number;
let fanOut: FanOut;

function start(lagBytes: number): void {
  offset = 0;
  lagging = [];
  delivered = 0;
  fanOut = new FanOut({
    frames: LINES,
    lagBytes,
    onLagging: ({ principal }, at) => lagging.push([principal, at]),
    onDelivered: (count) => {
      delivered += count;
    },
  });
}

beforeEach(() => start(LAG_BYTES));

function push(bytes = 20): void {
  const text = frameText('', `"${'x'.repeat(bytes - 3)}"`);
  fanOut.push(LINES.plain(text), LINES.compressed(text), ++offset);
}

function add(principal: string, compresses = false): FakeSubscriber {
  const subscriber = new FakeSubscriber(principal);
  subscriber.compresses = compresses;
  fanOut.add(subscriber);
  return subscriber;
}

describe('fan-out', () => {
  it('writes what comes in one turn once to each, as one buffer for all', async () => {
    const [one, two] = [add('one'), add('two')];
    for (let count = 0; count < 5; count++) push();
    await Promise.resolve();
    expect(one.writes).toEqual([]);
    await nextTurn();
    expect(one.writes).toHaveLength(1);
    expect(one.frames).toHaveLength(5);
    expect(two.writes[0]).toBe(one.writes[0]);
    expect(delivered).toBe(10);
  });

  it('writes a lone message before the turn ends, and one after a turn of several with what else comes in its own', async () => {
    const { writes } = add('one');
    const pushed = async (): Promise<number> => {
      push();
      await Promise.resolve();
      return writes.length;
    };
    expect(await pushed()).toBe(1);
    expect(await pushed()).toBe(1);
    await nextTurn();
    expect(writes).toHaveLength(2);
    expect(await pushed()).toBe(2);
    await nextTurn();
    expect(writes).toHaveLength(3);
    expect(await pushed()).toBe(4);
    await nextTurn();
    expect(writes).toHaveLength(4);
  });

  it('writes no more than 128 KiB at once, but for a message that is larger', async () => {
    start(10 * MAX_WRITE_BYTES);
    const subscriber = add('one');
    for (let count = 0; count < 5; count++) push(40_000);
    push(MAX_WRITE_BYTES * 2);
    push();
    await nextTurn();
    expect(subscriber.writes.map(({ length }) => length)).toEqual([120_000, 80_000, MAX_WRITE_BYTES * 2, 20]);
  });

  it('counts the bytes of texts that are not frames yet', async () => {
    start(10 * MAX_WRITE_BYTES);
    const subscriber = add('one');
    const text = frameText('', JSON.stringify('é'.repeat(MAX_WRITE_BYTES / 4)));
    for (let count = 0; count < 3; count++) fanOut.push(text, undefined, ++offset);
    await nextTurn();
    expect(subscriber.writes).toHaveLength(3);
  });

  it('writes no more at once than who is not behind may have unsent', async () => {
    const subscriber = add('one');
    for (let count = 0; count < 5; count++) push(LAG_BYTES / 2);
    await nextTurn();
    expect(subscriber.writes.map(({ length }) => length)).toEqual([LAG_BYTES, LAG_BYTES, LAG_BYTES / 2]);
  });

  it('gives compressed frames to those that take them only', async () => {
    const [plain, compressed] = [add('plain'), add('compressed', true)];
    push();
    push();
    await nextTurn();
    expect(plain.writes.toString()).not.toContain('compressed');
    expect(compressed.writes.toString().match(/compressed/g)).toHaveLength(2);
  });

  it('counts what a frame has before its text', async () => {
    const subscriber = add('one');
    const text = frameText('', JSON.stringify('x'.repeat(LAG_BYTES / 10 - 2)));
    for (let count = 0; count < 10; count++) fanOut.push(text, undefined, ++offset);
    await nextTurn();
    expect(subscriber.writes.length).toBeGreaterThan(1);
    for (const { length } of subscriber.writes) expect(length).toBeLessThanOrEqual(LAG_BYTES);
  });

  it('keeps apart what is pushed while it writes', async () => {
    const [first, second] = [add('first'), add('second', true)];
    const sendFrames = first.sendFrames.bind(first);
    first.sendFrames = (frames) => {
      first.sendFrames = sendFrames;
      fanOut.push(Buffer.from('"plain two"\n'), Buffer.from('"small two"\n'), ++offset);
      sendFrames(frames);
    };
    fanOut.push(Buffer.from('"plain one"\n'), undefined, ++offset);
    fanOut.flush();
    fanOut.flush();
    expect(second.writes.map(String)).toEqual(['"plain one"\n', '"small two"\n']);
  });

  it('gives the plain frame where compressing was not worth it', async () => {
    const compressed = add('compressed', true);
    push();
    fanOut.push(frameText('', '1'), undefined, ++offset);
    await nextTurn();
    expect(compressed.writes).toHaveLength(1);
    expect(compressed.writes.toString().match(/compressed/g)).toHaveLength(1);
    expect(compressed.frames).toHaveLength(2);
  });

  it('shows a subscriber what came after it entered and before it left', async () => {
    const first = add('first');
    push();
    const second = add('second');
    push();
    fanOut.remove(first);
    push();
    await nextTurn();
    expect(first.frames).toHaveLength(2);
    expect(second.frames).toHaveLength(2);
  });

  it('drops who is too far behind at what it was written last, and delays nobody (M4)', async () => {
    const [slow, quick] = [add('slow'), add('quick')];
    slow.stalled = true;
    push(LAG_BYTES + 1);
    await nextTurn();
    expect(lagging).toEqual([]);
    push();
    push();
    await nextTurn();
    push();
    await nextTurn();
    expect(lagging).toEqual([['slow', 1]]);
    expect(slow.frames).toHaveLength(1);
    expect(quick.frames).toHaveLength(4);
  });

  it('looks at the queues between the writes of one turn', async () => {
    const slow = add('slow');
    slow.stalled = true;
    for (let count = 0; count < 8; count++) push(MAX_WRITE_BYTES);
    await nextTurn();
    expect(lagging).toEqual([['slow', 1]]);
    expect(slow.writes).toHaveLength(1);
  });
});
