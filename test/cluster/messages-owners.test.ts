import { describe, expect, test } from 'vitest';
import { historyOf, positionOf } from '../support/message-calls.js';
import { expectReply, type RawClient } from '../support/raw-client.js';
import { codeOf, newSession, own, useCluster, watch } from './use-cluster.js';

const REFUSED = ['not_owner', 'ownership_unconfirmed'];

/** Of a history page: the contents alone. */
async function contents(node: Parameters<typeof historyOf>[0], session: string): Promise<unknown[]> {
  return (await historyOf(node, session)).map((message) => Reflect.get(message, 'data'));
}

describe('messages of owners that are owners no longer', () => {
  const cluster = useCluster({ nodes: 3 });
  const send = (client: RawClient, session: string, data: unknown, key?: string) =>
    client.request(
      { type: 'send', session_id: session, data, ...(key !== undefined && { idempotency_key: key }) },
      10_000,
    );

  test('are refused when their node slept past the lease and another owns the session', async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const { epoch } = await own(old, session);
    expectReply('send_ack', await send(old, session, 'before'));
    const next = await cluster().connect(1);
    await watch(next, session);

    cluster().node(0).pause();
    await next.nextOwnership(session, 'free', 10_000);
    const claimed = await next.claim(session);
    expect(claimed.owner_epoch).toBeGreaterThan(epoch);
    expect(await send(next, session, 'mine')).toMatchObject({ type: 'send_ack', owner_epoch: claimed.owner_epoch });
    const stale = Array.from({ length: 50 }, (_, i) => send(old, session, `stale ${i}`));
    cluster().node(0).resume();
    for (const reply of await Promise.all(stale)) expect(REFUSED).toContain(codeOf(reply));
    expect(await contents(cluster().node(2), session)).toEqual(['before', 'mine']);
  });

  test('are refused while another takes over with the token in the middle of a stream', async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const { token } = await own(old, session);
    const sent: Promise<unknown>[] = [];
    const accepted: number[] = [];
    const stream = async (client: RawClient, name: string, count: number) => {
      for (let i = 0; i < count; i += 1) {
        sent.push(
          send(client, session, `${name} ${i}`).then((reply) => {
            if (reply.type === 'send_ack') accepted.push(reply.offset);
            else expect(REFUSED).toContain(codeOf(reply));
          }),
        );
        if (i % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const first = stream(old, 'old', 150);
    await new Promise((resolve) => setTimeout(resolve, 15));
    const next = await cluster().connect(1);
    const ack = await next.subscribe(session, { reconnect_token: token, since: 'oldest' });
    expect(ack.owner).toBe(true);
    await stream(next, 'next', 40);
    await first;
    await Promise.all(sent);

    const history = await historyOf(cluster().node(2), session);
    expect(history.map(({ offset }) => offset).sort((a, b) => a - b)).toEqual(accepted.sort((a, b) => a - b));
    const epochs = history.map(({ owner_epoch }) => owner_epoch ?? 0);
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
    expect(new Set(epochs).size).toBe(2);
    await expect.poll(() => positionOf(next, session).offset).toBe(history.length);
  });

  test('are stored once when they are repeated after another owner came in between', async () => {
    const session = newSession();
    const first = await cluster().connect(0);
    const { token } = await own(first, session);
    const ack = expectReply('send_ack', await send(first, session, 'mine', 'k1'));
    // The same person on another connection, who lost the answer.
    const again = await cluster().connect(1);
    await own(again, session, { reconnect_token: token });
    await again.release(session);
    const other = await cluster().connect(2);
    await own(other, session);
    expectReply('send_ack', await send(other, session, 'yours', 'k1'));

    expect(await send(again, session, 'mine', 'k1')).toMatchObject({ offset: ack.offset });
    expect(codeOf(await send(again, session, 'mine too', 'k2'))).toBe('not_owner');
    expect(await contents(cluster().node(0), session)).toEqual(['mine', 'yours']);
  });

  test('on their way when the connection breaks are stored, or not, but never under the next owner', async () => {
    const session = newSession();
    const watcher = await cluster().connect(2);
    await watch(watcher, session);
    for (let round = 0; round < 10; round += 1) {
      const owner = await cluster().connect(round % 2);
      await owner.subscribe(session);
      await owner.claim(session);
      for (let i = 0; i < 10; i += 1) owner.send({ type: 'send', session_id: session, data: { round, i } });
      await owner.request({ type: 'ping' });
      await owner.release(session);
      await owner.close();
      await watcher.nextOwnership(session, 'free');
    }
    const history = await historyOf(cluster().node(0), session);
    expect(history).toHaveLength(100);
    const epochs = history.map(({ owner_epoch }) => owner_epoch ?? 0);
    expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
  });
});
