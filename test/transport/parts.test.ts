import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AddressLimit, addressKey, clientAddress, trustedProxies } from '../../src/transport/addresses.js';
import { NO_SLOT, TimerWheel, type WheelItem } from '../../src/transport/timer-wheel.js';
import { TokenBucket } from '../../src/transport/token-bucket.js';

function requestFrom(remoteAddress: string, forwardedFor?: string): IncomingMessage {
  return { socket: { remoteAddress }, headers: { 'x-forwarded-for': forwardedFor } } as unknown as IncomingMessage;
}

describe('the address of a client', () => {
  const trusted = trustedProxies(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);

  it.each([
    ['is the peer', '203.0.113.1', undefined, '203.0.113.1'],
    ['is the peer, whatever a stranger says', '203.0.113.1', '198.51.100.1', '203.0.113.1'],
    ['is what the proxy says', '10.1.1.1', '203.0.113.1', '203.0.113.1'],
    ['is the nearest one that is not a proxy', '10.1.1.1', '198.51.100.66, 203.0.113.1, 192.0.2.7', '203.0.113.1'],
    ['is the farthest proxy if all are', '10.1.1.1', '10.0.0.9, 10.0.0.8', '10.0.0.9'],
    ['is the proxy itself if it says nothing', '10.1.1.1', undefined, '10.1.1.1'],
    ['stops at what is no address', '10.1.1.1', '203.0.113.1, unknown, 10.0.0.8', '10.0.0.8'],
    ['is IPv4 behind an IPv6 socket', '::ffff:10.1.1.1', '::ffff:203.0.113.1', '203.0.113.1'],
    ['may be IPv6', '2001:db8::1', '2001:db9::1', '2001:db9::1'],
  ])('%s', (_, peer, forwardedFor, address) => {
    expect(clientAddress(requestFrom(peer, forwardedFor), trusted)).toBe(address);
  });

  it.each(['', 'proxy', '10.0.0.0/33', '10.0.0.0/x', '10.0.0.0/', '::/129', '10.0.0/8'])(
    'is not trusted as %j',
    (proxy) => {
      expect(() => trustedProxies([proxy])).toThrow(RangeError);
    },
  );

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:1::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['', ''],
  ])('%s counts as %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });

  it('is forgotten with its last connection', () => {
    const limit = new AddressLimit(2);
    const slots = [limit.enter('a'), limit.enter('a')];
    expect(limit.enter('a')).toBeUndefined();
    for (const slot of slots) if (slot !== undefined) limit.leave(slot);
    expect(limit.enter('a')).not.toBe(slots[0]);
  });
});

describe('the timer wheel', () => {
  class Item implements WheelItem {
    wheelSlot = NO_SLOT;
    woken = 0;
    onWake: () => number = () => 0;
    wake(): number {
      this.woken += 1;
      return this.onWake();
    }
  }

  function turn(wheel: TimerWheel, ticks: number): void {
    for (let i = 0; i < ticks; i += 1) wheel.advance();
  }

  it.each([1, 10, 55, 100])('wakes after %i ms: never early, at most two ticks late', (delayMs) => {
    const wheel = new TimerWheel(10, 100);
    turn(wheel, 7);
    const item = new Item();
    wheel.add(item, delayMs);
    // The first tick may come at once, since it was under way already.
    turn(wheel, Math.ceil(delayMs / 10));
    expect(item.woken).toBe(0);
    turn(wheel, 1);
    expect(item.woken).toBe(1);
    turn(wheel, 50);
    expect(item.woken).toBe(1);
  });

  it('wakes again as often as asked, and cuts what is longer than its span', () => {
    const wheel = new TimerWheel(10, 100);
    const item = new Item();
    item.onWake = () => Number.POSITIVE_INFINITY;
    wheel.add(item, 2 ** 40);
    turn(wheel, 12 * 5);
    expect(item.woken).toBe(5);
  });

  it('does not wake what was removed, by another of the same tick either', () => {
    const wheel = new TimerWheel(10, 100);
    const [first, second] = [new Item(), new Item()];
    first.onWake = () => {
      wheel.remove(second);
      return 0;
    };
    wheel.add(first, 20);
    wheel.add(second, 20);
    turn(wheel, 20);
    expect([first.woken, second.woken]).toEqual([1, 0]);
  });
});

it('the timer wheel wakes after what had arrived was read', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [peer] = (await once(server, 'connection')) as [Socket];
  peer.resume();
  const wheel = new TimerWheel(10, 100);
  onTestFinished(() => {
    wheel.stop();
    client.destroy();
    server.close();
  });
  const bytesRead = new Promise<number>((resolve) => {
    const item = {
      wheelSlot: NO_SLOT,
      wake() {
        resolve(peer.bytesRead);
        return 0;
      },
    };
    // Timers run right after this, without another look at the sockets.
    setImmediate(() => {
      wheel.start();
      wheel.add(item, 0);
      client.write('x');
      const resumesAtMs = performance.now() + 50;
      while (performance.now() < resumesAtMs);
    });
  });
  expect(await bytesRead).toBe(1);
});

describe('the token bucket', () => {
  const limits = { perSecond: 8, burst: 5 };

  it('gives its burst, then its rate', () => {
    const bucket = new TokenBucket(limits, 0);
    expect([1, 2, 3, 4, 5].map(() => bucket.take(1, limits, 0))).toEqual([0, 0, 0, 0, 0]);
    expect(bucket.take(1, limits, 0)).toBe(125);
    expect(bucket.take(1, limits, 100)).toBe(25);
    expect(bucket.take(1, limits, 125)).toBe(0);
    expect(bucket.take(2, limits, 250)).toBe(125);
  });

  it('never holds more than its burst', () => {
    const bucket = new TokenBucket(limits, 0);
    expect(bucket.take(6, limits, 1e9)).toBe(125);
    expect(bucket.take(5, limits, 1e9)).toBe(0);
  });
});
