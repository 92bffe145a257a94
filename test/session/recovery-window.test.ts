import { afterEach, describe, expect, it, vi } from 'vitest';
import { FakeSubscriber } from './domain-harness.js';
import { type StreamOptions, startStream, turns } from './stream-harness.js';

let world: ReturnType<typeof startStream>;

function start(count: number, filling = '', options: StreamOptions = {}): void {
  world = startStream(options);
  world.join();
  for (let written = 0; written < count; written += 100) world.publish(Math.min(100, count - written), filling);
}
afterEach(() => {
  vi.useRealTimers();
  world.stream.close();
  expect(world.budget.bytes).toBe(0);
});

const MIB = 1_048_576;
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('what is read for those who missed something', () => {
  it('is read once for 2,000 of them, and written from the same buffers', async () => {
    start(100);
    await turns();
    const { epoch } = world.store.state;
    const late = range(1, 2_000).map(() => world.join({ epoch, offset: 40 }));
    world.publish();
    await vi.waitFor(() => expect(late.every(({ numbers }) => numbers.length === 61)).toBe(true), 10_000);
    expect(world.store.reads).toHaveLength(1);
    expect(new Set(late.flatMap(({ subscriber }) => subscriber.writes)).size).toBeLessThan(10);
    for (const { numbers } of late) expect(numbers).toEqual(range(41, 101));
  });

  it('is written from the same buffers to those who come one after the other', async () => {
    start(1_000, 'x'.repeat(200));
    await turns();
    const { epoch } = world.store.state;
    const late: ReturnType<typeof world.join>[] = [];
    for (const _ of range(1, 40)) {
      late.push(world.join({ epoch, offset: 0 }));
      await turns(1);
    }
    await vi.waitFor(() => expect(late.every(({ numbers }) => numbers.length === 1_000)).toBe(true), 10_000);
    const [one] = late;
    expect(one?.subscriber.writes.length).toBeGreaterThan(3);
    expect(new Set(late.flatMap(({ subscriber }) => subscriber.writes)).size).toBe(one?.subscriber.writes.length);
  });

  it('is written compressed to those who take that, and plain to the others', async () => {
    start(50, 'x'.repeat(200));
    await turns();
    const late = range(0, 5).map((index) => {
      const subscriber = new FakeSubscriber('late');
      subscriber.compresses = index % 2 === 1;
      return world.join('oldest', subscriber);
    });
    await turns();
    for (const { subscriber, numbers } of late) {
      expect(numbers).toEqual(range(1, 50));
      const [first] = subscriber.writes;
      expect(first?.toString().startsWith('compressed')).toBe(subscriber.compresses);
    }
    expect(new Set(late.flatMap(({ subscriber }) => subscriber.writes)).size).toBe(2);
  });

  it('shares buffers of no more bytes than the messages have, wherever those are who missed some', async () => {
    start(100, 'x'.repeat(200));
    await turns();
    const { epoch } = world.store.state;
    const late = range(0, 49).map((offset) => world.join({ epoch, offset }));
    await turns();
    for (const [offset, { numbers }] of late.entries()) expect(numbers).toEqual(range(offset + 1, 100));
    const frames = late[0]?.subscriber.writes.reduce((sum, { length }) => sum + length, 0) ?? Number.NaN;
    expect(world.budget.bytes).toBeGreaterThan(frames);
    expect(world.budget.bytes).toBeLessThanOrEqual(2 * frames);
  });

  it('counts the buffers that are shared, and shares less where a node keeps too much', async () => {
    start(400, 'x'.repeat(1_000));
    await turns();
    const late = [world.join('oldest'), world.join('oldest')];
    await turns(40);
    for (const { numbers } of late) expect(numbers).toEqual(range(1, 400));
    const frames = 400 * 1_000;
    expect(world.budget.bytes).toBeGreaterThan(1.9 * frames);
    expect(world.budget.bytes).toBeLessThan(2.5 * frames);
    const others = 64 * MIB - world.budget.bytes;
    world.budget.bytes += others;
    world.publish();
    await turns();
    expect(world.budget.bytes - others).toBeGreaterThan(frames);
    expect(world.budget.bytes - others).toBeLessThan(1.3 * frames);
    world.budget.bytes -= others;
  });

  it('is read once where they are at different positions', async () => {
    start(600);
    await turns();
    const { epoch } = world.store.state;
    const late = range(0, 59).map((step) => world.join({ epoch, offset: step * 10 }));
    await turns(30);
    for (const [step, { numbers }] of late.entries()) expect(numbers).toEqual(range(step * 10 + 1, 600));
    expect(world.store.reads).toEqual([{ before: 601 }, { before: 345 }, { before: 89 }]);
  });

  it('goes on with what arrives while it is read', async () => {
    start(300);
    await turns();
    world.store.reply = () => turns(4);
    const late = world.join('oldest');
    for (let count = 0; count < 20; count++) {
      world.publish(5);
      await turns(1);
    }
    await turns(20);
    expect(late.numbers).toEqual(range(1, 400));
    expect(world.store.reads).toHaveLength(2);
  });

  it('is forgotten a while after the last has caught up', async () => {
    start(10);
    await turns();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    world.join('oldest');
    await turns();
    expect(world.budget.bytes).toBeGreaterThan(0);
    vi.advanceTimersByTime(4_900);
    expect(world.budget.bytes).toBeGreaterThan(0);
    vi.advanceTimersByTime(200);
    expect(world.budget.bytes).toBe(0);
    const again = world.join('oldest');
    await turns();
    expect(again.numbers).toEqual(range(1, 10));
    expect(world.store.reads).toHaveLength(2);
  });

  it('is kept up to 4 MiB, and beyond that read where each is, once for all who are there', async () => {
    start(800, 'x'.repeat(10_000), { retention: { maxBytes: 16 * MIB } });
    await turns();
    let most = 0;
    const join = () => {
      const subscriber = new FakeSubscriber('late');
      const sendFrames = subscriber.sendFrames.bind(subscriber);
      subscriber.sendFrames = (frames) => {
        most = Math.max(most, world.budget.bytes);
        sendFrames(frames);
      };
      return world.join('oldest', subscriber);
    };
    const late = [join(), join(), join()];
    await vi.waitFor(() => expect(late.every(({ numbers }) => numbers.length === 800)).toBe(true), 10_000);
    for (const each of late) expect(each.numbers).toEqual(range(1, 800));
    expect(most).toBeGreaterThan(3 * MIB);
    expect(most).toBeLessThan(5 * MIB);
    const singles = world.store.reads.filter((read) => 'after' in read).map((read) => JSON.stringify(read));
    // Each of the three on its own would make it three times as many.
    expect(singles.length).toBeLessThan(1.5 * new Set(singles).size);
  });

  it('is not kept where the node keeps too much of other sessions', async () => {
    start(10);
    await turns();
    world.budget.bytes = 64 * MIB;
    const late = world.join('oldest');
    await turns();
    world.publish();
    await turns();
    expect(late.numbers).toEqual(range(1, 11));
    expect(world.budget.bytes).toBe(64 * MIB);
    world.budget.bytes = 0;
  });

  it('is not what an earlier epoch had there, when that answer comes late', async () => {
    start(200);
    await turns();
    // Nothing is kept: everybody is read for where it is.
    world.budget.bytes = 64 * MIB;
    let answer = () => {};
    world.store.reply = () => new Promise<void>((resolve) => (answer = resolve));
    const early = world.join({ epoch: world.store.state.epoch, offset: 100 });
    await turns(3);
    world.store.reply = async () => {};
    world.store.failOver(1);
    world.publish(2);
    await turns();
    const late = world.join({ epoch: world.store.state.epoch, offset: 100 });
    await turns(3);
    answer();
    await turns();
    expect(late.numbers).toEqual([201, 202]);
    expect(early.notices).toEqual(['reset false']);
    world.budget.bytes = 0;
  });
});
