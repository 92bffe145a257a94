import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { statusOfferingHttp2 } from './offering-http2.js';
import { newSession, noHaproxy, own, useCluster, withHaproxy } from './use-cluster.js';

const DRAIN_MS = 4_000;
const ARRIVALS = 200;

// deploy/compose/haproxy.cfg has the same lines: test/deploy/compose.test.ts.
describe.skipIf(noHaproxy)('deploy/haproxy/haproxy.cfg', () => {
  const cluster = useCluster({ haproxy: true, args: ['--drain-ms', `${DRAIN_MS}`] });

  test(withHaproxy('an HTTP call that offers HTTP/2 is answered as one that does not'), async () => {
    expect(await statusOfferingHttp2(`${cluster().haproxy.url}/holdfast.js`)).toBe(200);
  });

  test(withHaproxy(
    '200 of 200 new connections succeed while a node drains, and open ones stay until they are closed',
  ), async () => {
    let owner = await cluster().connect('haproxy');
    while (cluster().servedBy(owner) !== cluster().node(0)) owner = await cluster().connect('haproxy');
    await own(owner, newSession());
    // It never answers the closing handshake, and so keeps the drain going.
    (await cluster().connect(0)).stopReading();
    const exit = cluster().node(0).terminate();
    // From the very beginning, while HAProxy still takes the node for a good one.
    await owner.next('reconnect');
    const arrivals = await Promise.all(
      Array.from({ length: ARRIVALS }, async (_, i) => {
        await sleep(i * 10);
        return cluster().connect('haproxy');
      }),
    );
    expect(arrivals).toHaveLength(ARRIVALS);
    expect(arrivals.filter(({ welcome }) => welcome.node === cluster().node(0).nodeId)).toEqual([]);
    expect(await owner.whenClosed).toMatchObject({ code: 1012 });
    expect(await exit).toEqual({ code: 0, signal: null });
  }, 30_000);
});
