import { afterEach, describe, expect, it, vi } from 'vitest';
import { FakeSubscriber, LINES } from './domain-harness.js';
import { Follower, type StreamOptions, startStream, turns } from './stream-harness.js';

let world: ReturnType<typeof startStream>;
let follower: Follower;

function start(options: StreamOptions = {}): void {
  world = startStream(options);
  follower = world.join();
}
afterEach(() => world.stream.close());

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('a live stream', () => {
  it('shows what arrives, in order, and repeats once', async () => {
    start();
    const batch = world.write(3);
    world.stream.receive(batch);
    world.stream.receive(batch);
    world.publish(2);
    await turns();
    expect(follower.numbers).toEqual([1, 2, 3, 4, 5]);
    expect(world.store.reads).toEqual([]);
  });

  it('begins where the first subscriber found the session, whatever arrived before', async () => {
    world = startStream();
    const before = world.write(2);
    const found = world.store.state;
    const after = world.write(2);
    for (const batch of [before, after]) world.stream.receive(batch);
    const subscriber = world.join().subscriber;
    world.stream.leave(subscriber);
    expect(world.stream.position).toEqual({ epoch: found.epoch, offset: 4 });

    world = startStream();
    world.write(2);
    follower = world.join();
    world.publish(1);
    await turns();
    expect(follower.begins.offset).toBe(2);
    expect(follower.numbers).toEqual([3]);
  });

  it('reads once what a gap has lost, and goes on with what arrived meanwhile (M3)', async () => {
    start();
    const others = range(1, 20).map(() => world.join());
    world.publish();
    world.write(3);
    world.publish();
    world.publish();
    await turns();
    for (const each of [follower, ...others]) expect(each.numbers).toEqual(range(1, 6));
    expect(world.store.reads).toEqual([{ after: 1 }]);
  });

  it('reads again when what arrives during a read has a gap too', async () => {
    start();
    world.publish();
    world.write();
    world.store.reply = () => turns(3);
    world.publish();
    await turns(1);
    world.write();
    world.publish();
    await turns();
    expect(follower.numbers).toEqual(range(1, 5));
    expect(world.store.reads).toHaveLength(2);
  });

  it('keeps little of what arrives during a long read, and reads the rest', async () => {
    start({ retention: { maxCount: 5_000 } });
    world.write();
    world.store.reply = () => turns(3);
    world.publish();
    for (let batch = 0; batch < 30; batch++) world.publish(100);
    await turns(60);
    expect(follower.numbers).toEqual(range(1, 3_002));
  });

  it('says so when what it missed is gone', async () => {
    start({ retention: { maxCount: 4 } });
    world.publish();
    world.write(9);
    world.publish();
    await turns();
    world.publish();
    await turns();
    expect(follower.notices).toEqual(['reset false']);
    expect(follower.trace().seen.map(({ number }) => number)).toEqual([12]);
  });

  it('says so when there is no history to fill from', async () => {
    start({ retention: { maxCount: 0 } });
    world.publish(2);
    world.write();
    world.publish();
    world.publish();
    await turns();
    expect(follower.numbers).toEqual([1, 2, 5]);
    expect(follower.notices).toEqual(['reset false']);
  });

  it('goes on in a new epoch when nothing was lost with the old one', async () => {
    start();
    world.publish(2);
    const { epoch } = world.store.state;
    world.store.failOver(0);
    world.publish();
    await turns();
    expect(follower.numbers).toEqual([1, 2, 3]);
    expect(follower.subscriber.last('reset')).toMatchObject({ recovered: true, position: { offset: 2 } });
    expect(follower.subscriber.last('reset').position.epoch).not.toBe(epoch);
  });

  it('says so when the store has lost what it showed', async () => {
    start();
    for (let count = 0; count < 4; count++) world.publish();
    world.store.failOver(2);
    world.publish();
    await turns();
    world.publish();
    await turns();
    expect(follower.numbers).toEqual([1, 2, 3, 4, 6]);
    expect(follower.subscriber.last('reset')).toMatchObject({ recovered: false, position: { offset: 3 } });
  });

  it('finds what was lost between the first subscription and its answer', async () => {
    world = startStream();
    const found = world.store.state;
    world.write();
    await world.compare();
    const subscriber = new FakeSubscriber('first');
    follower = new Follower(subscriber, world.stream.enter(subscriber, found, undefined));
    await turns();
    expect(follower.numbers).toEqual([1]);
  });

  it('compresses once, and only while somebody takes it', async () => {
    const compressed = vi.spyOn(LINES, 'compressed');
    start();
    world.publish();
    await turns();
    expect(compressed).not.toHaveBeenCalled();
    const [one, two] = [new FakeSubscriber('one'), new FakeSubscriber('two')];
    for (const subscriber of [one, two]) {
      subscriber.compresses = true;
      world.join('oldest', subscriber);
    }
    await turns();
    world.publish();
    await turns();
    expect(one.writes.toString()).toMatch(/^compressed.*\n,compressed.*\n$/);
    expect(compressed).toHaveBeenCalledTimes(2);
    for (const subscriber of [one, two]) world.stream.leave(subscriber);
    world.publish();
    await turns();
    expect(compressed).toHaveBeenCalledTimes(2);
    expect(follower.subscriber.writes.toString()).not.toContain('compressed');
    compressed.mockRestore();
  });

  it('forgets what arrives late of a history that is over', async () => {
    start();
    world.publish();
    const late = world.write();
    world.store.failOver(1);
    world.publish();
    await turns();
    world.stream.receive(late);
    await turns();
    const reads = world.store.reads.length;
    world.publish();
    await turns();
    expect(world.store.reads).toHaveLength(reads);
    expect(follower.numbers).toEqual([1, 3, 4]);
  });

  it('tells who is too slow where it was, also when that history is over', async () => {
    start({ lagBytes: 0 });
    follower.subscriber.stalled = true;
    world.publish();
    await turns();
    world.publish();
    await world.store.remove();
    await world.compare();
    await turns(1);
    follower.subscriber.stalled = false;
    follower.subscriber.drain();
    await turns();
    expect(follower.notices).toEqual(['lagged', 'reset false']);
    expect(follower.subscriber.last('lagged').position).toEqual({ ...follower.begins, offset: 1 });
  });

  it('finds by comparing that the store has gone back, or that something never arrived', async () => {
    start();
    world.publish(2);
    world.write();
    await world.compare();
    await turns();
    expect(follower.numbers).toEqual([1, 2, 3]);
    world.store.failOver(1);
    await world.compare();
    await turns();
    expect(follower.subscriber.last('reset')).toMatchObject({ recovered: false, position: { offset: 2 } });
    const reads = world.store.reads.length;
    await world.compare();
    await turns();
    expect(world.store.reads).toHaveLength(reads);
  });

  it('takes an answer of the store that is older than what arrived since for what it is', async () => {
    start();
    world.publish();
    world.store.reply = () => turns(2);
    const compared = world.compare();
    world.publish(3);
    await compared;
    expect(world.store.reads).toEqual([]);
  });

  it('begins anew when the messages were removed', async () => {
    start();
    world.publish(2);
    await world.store.remove();
    world.publish();
    world.publish();
    await turns();
    world.publish();
    await turns();
    expect(follower.notices).toEqual(['reset false']);
    expect(follower.trace().position).toEqual({ epoch: world.store.state.epoch, offset: 3 });
  });

  it('fills as soon as a store that was away is back', async () => {
    start();
    world.publish();
    world.write();
    world.store.away = true;
    world.publish();
    await turns();
    expect(follower.numbers).toEqual([1]);
    world.store.away = false;
    await expect.poll(() => follower.numbers).toEqual([1, 2, 3]);
  });

  it('shows ephemeral messages in their place', async () => {
    start();
    world.publish();
    world.stream.receive(world.writeEphemeral());
    world.publish();
    await turns();
    const shown = follower.subscriber.of('message').map(({ offset, ephemeral = false }) => [offset, ephemeral]);
    expect(shown).toEqual([
      [1, false],
      [1, true],
      [2, false],
    ]);
  });

  it('keeps an ephemeral message back until what precedes it is filled', async () => {
    start();
    world.write(2);
    world.stream.receive(world.writeEphemeral());
    await turns();
    const shown = follower.subscriber.of('message').map(({ offset, ephemeral = false }) => [offset, ephemeral]);
    expect(shown).toEqual([
      [1, false],
      [2, false],
      [2, true],
    ]);
  });
});
