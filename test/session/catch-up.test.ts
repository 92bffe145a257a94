import { afterEach, describe, expect, it } from 'vitest';
import { FakeSubscriber } from './domain-harness.js';
import { type Follower, type StreamOptions, startStream, turns } from './stream-harness.js';

let world: ReturnType<typeof startStream>;

/** A session with ten messages, and a live subscriber. */
async function start(options: StreamOptions = {}): Promise<Follower> {
  world = startStream(options);
  const live = world.join();
  world.publish(10);
  await turns();
  return live;
}
afterEach(() => world.stream.close());

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('a subscription with a position', () => {
  it('gets exactly what it missed, and then what comes', async () => {
    await start();
    const { epoch } = world.store.state;
    const late = world.join({ epoch, offset: 4 });
    world.publish(2);
    await turns();
    world.publish(2);
    await turns();
    expect(late.begins).toEqual({ epoch, offset: 4 });
    expect(late.recovered).toBe(true);
    expect(late.numbers).toEqual(range(5, 14));
    expect(late.notices).toEqual([]);
  });

  it('begins live where it missed nothing', async () => {
    await start();
    const late = world.join(world.stream.position);
    world.publish();
    await turns();
    expect(late.recovered).toBe(true);
    expect(late.numbers).toEqual([11]);
    expect(world.store.reads).toEqual([]);
  });

  it('begins at the oldest message, and says whether that is the first', async () => {
    await start();
    const whole = world.join('oldest');
    await turns();
    await world.store.truncate('', 6);
    const rest = world.join('oldest');
    await turns();
    expect([whole.recovered, whole.numbers]).toEqual([true, range(1, 10)]);
    expect([rest.recovered, rest.numbers]).toEqual([false, range(7, 10)]);
  });

  it('begins with what comes when the position is unknown, trimmed or of what was lost', async () => {
    await start();
    const { epoch } = world.store.state;
    const unknown = world.join({ epoch: '17', offset: 3 });
    const ahead = world.join({ epoch, offset: 11 });
    await world.store.truncate('', 6);
    const trimmed = world.join({ epoch, offset: 5 });
    world.publish();
    await turns();
    for (const late of [unknown, ahead, trimmed]) {
      expect(late.recovered).toBe(false);
      expect(late.begins).toEqual({ epoch, offset: 10 });
      expect(late.numbers).toEqual([11]);
    }
  });

  it('is recovered over a change of epoch that lost nothing', async () => {
    await start();
    const { epoch } = world.store.state;
    world.store.failOver(0);
    world.write();
    const late = world.join({ epoch, offset: 8 });
    await turns();
    expect(late.recovered).toBe(true);
    expect(late.begins).toEqual({ epoch: world.store.state.epoch, offset: 8 });
    expect(late.numbers).toEqual([9, 10, 11]);
    expect(late.notices).toEqual([]);
  });

  it('is ahead of a node that missed something, which then reads it', async () => {
    const live = await start();
    world.write(3);
    const late = world.join({ epoch: world.store.state.epoch, offset: 12 });
    await turns();
    expect(late.recovered).toBe(true);
    expect(late.numbers).toEqual([13]);
    expect(live.numbers).toEqual(range(1, 13));
  });

  it('waits for a store that is away, and misses nothing', async () => {
    await start();
    const late = world.join('oldest');
    world.store.away = true;
    await turns();
    world.publish();
    world.store.away = false;
    await expect.poll(() => late.numbers).toEqual(range(1, 11));
  });

  it('is told when what it missed is trimmed before it could be read', async () => {
    await start();
    const late = world.join('oldest');
    await world.store.truncate('', 6);
    world.publish();
    await turns();
    world.publish();
    await turns();
    expect(late.notices).toEqual(['reset false']);
    expect(late.numbers).toEqual([12]);
  });

  it('is told when the store loses what it was about to get', async () => {
    await start();
    const late = world.join({ epoch: world.store.state.epoch, offset: 9 });
    world.store.failOver(1);
    world.publish();
    await turns();
    world.publish();
    await turns();
    expect(late.notices).toEqual(['reset false']);
    expect(late.trace().position).toEqual({ epoch: world.store.state.epoch, offset: world.store.state.top });
  });

  it('gets nothing of another history before it is told of it', async () => {
    const live = await start();
    world.publish();
    await turns();
    const late = world.join({ epoch: world.store.state.epoch, offset: 10 });
    world.store.failOver(1);
    world.write();
    await turns();
    expect(live.notices).toEqual(['reset false']);
    expect(late.notices).toEqual(['reset true']);
    expect(late.subscriber.frames.map(({ type }) => type)).toEqual(['reset', 'message']);
    expect(late.trace()).toEqual({
      position: { epoch: world.store.state.epoch, offset: 11 },
      seen: [{ offset: 11, number: 12 }],
    });
  });
});

describe('a subscriber that is behind (M4)', () => {
  const LAG_BYTES = 2_000;
  const FILLING = 'x'.repeat(300);

  it('is told, gets the rest from the history when it reads again, and delays nobody', async () => {
    const live = await start({ lagBytes: LAG_BYTES });
    const slow = world.join();
    slow.subscriber.stalled = true;
    for (let count = 0; count < 30; count++) {
      world.publish(1, FILLING);
      await turns(2);
    }
    expect(live.numbers).toEqual(range(1, 40));
    expect(slow.notices).toEqual(['lagged']);
    expect(slow.subscriber.queuedBytes).toBeLessThan(LAG_BYTES + 2 * FILLING.length);
    slow.subscriber.stalled = false;
    slow.subscriber.drain();
    await turns(40);
    world.publish();
    await turns();
    expect(slow.numbers).toEqual(range(11, 41));
    expect(slow.notices).toEqual(['lagged']);
  });

  it('is written no faster than it reads', async () => {
    await start({ lagBytes: LAG_BYTES });
    world.publish(400, FILLING);
    await turns();
    const late = new FakeSubscriber('late');
    late.stalled = true;
    const follower = world.join('oldest', late);
    await turns(40);
    const first = follower.numbers.length;
    expect(first).toBeGreaterThan(0);
    expect(late.queuedBytes).toBeLessThanOrEqual(LAG_BYTES / 2 + 65_536);
    for (let drained = 0; drained < 10; drained++) {
      late.drain();
      await turns(10);
    }
    expect(follower.numbers).toEqual(range(1, 410));
  });

  it('does not get ephemeral messages meanwhile', async () => {
    const live = await start({ lagBytes: 0 });
    const slow = world.join();
    slow.subscriber.stalled = true;
    world.publish();
    await turns();
    world.stream.receive(world.writeEphemeral());
    await turns();
    expect(live.subscriber.of('message').filter(({ ephemeral }) => ephemeral)).toHaveLength(1);
    expect(slow.subscriber.of('message').filter(({ ephemeral }) => ephemeral)).toEqual([]);
  });

  it('is told that it missed something where nothing is kept', async () => {
    await start({ lagBytes: 0, retention: { maxCount: 0 } });
    const slow = world.join();
    slow.subscriber.stalled = true;
    world.publish();
    await turns();
    world.publish(2);
    await turns();
    slow.subscriber.stalled = false;
    slow.subscriber.drain();
    await turns();
    world.publish();
    await turns();
    expect(slow.notices).toEqual(['lagged', 'reset false']);
    expect(slow.numbers).toEqual([11, 14]);
  });

  it('is forgotten when it leaves', async () => {
    await start({ lagBytes: 0 });
    const slow = world.join();
    slow.subscriber.stalled = true;
    world.publish();
    await turns();
    world.publish();
    await turns();
    world.stream.leave(slow.subscriber);
    const told = slow.subscriber.frames.length;
    slow.subscriber.drain();
    await turns();
    expect(slow.subscriber.frames).toHaveLength(told);
    expect(world.store.reads).toEqual([]);
  });
});
