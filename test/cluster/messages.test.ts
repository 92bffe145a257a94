import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { historyOf, messagesOf, positionOf, publish, publishAll } from '../support/message-calls.js';
import { expectReply, type RawClient } from '../support/raw-client.js';
import { redisCall } from '../support/redis-process.js';
import { codeOf, newSession, own, useCluster, watch } from './use-cluster.js';

const SENDS = 2_000;
const KILLS = 20;

describe('messages over three nodes', () => {
  const cluster = useCluster({
    nodes: 3,
    graceMs: 5_000,
    args: ['--messages-per-second', '100000', '--message-burst', '100000', '--history-count', '10000'],
  });

  /** Until each has all messages up to that offset. */
  async function caughtUp(clients: readonly RawClient[], sessionId: string, offset: number): Promise<void> {
    await expect
      .poll(() => clients.map((client) => positionOf(client, sessionId).offset), { timeout: 15_000, interval: 50 })
      .toEqual(clients.map(() => offset));
  }

  test('reach every subscriber once and in order, whatever breaks', async () => {
    const session = newSession();
    const watchers = await Promise.all([0, 1, 2, 0, 1, 2].map((node) => cluster().connect(node)));
    for (const watcher of watchers) await watch(watcher, session);
    const owner = await cluster().connect(0);
    await own(owner, session);

    const acknowledged = new Map<number, number>();
    let killed = 0;
    let sent = 0;
    const sending = (async () => {
      while (sent < SENDS) {
        const batch = Array.from({ length: 20 }, () => (sent += 1));
        await Promise.all(
          batch.map(async (number) => {
            const reply = await owner.request({
              type: 'send',
              session_id: session,
              data: number,
              idempotency_key: `k${number}`,
            });
            acknowledged.set(number, expectReply('send_ack', reply).offset);
          }),
        );
        await sleep(5);
      }
    })();
    const nemesis = (async () => {
      for (let round = 0; round < KILLS; round += 1) {
        killed += Number(await redisCall(cluster().redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub'));
        if (round === KILLS / 2) await cluster().node(2).kill();
        await sleep(40);
      }
    })();
    await Promise.all([sending, nemesis]);
    expect(killed).toBeGreaterThan(KILLS / 2);

    // Those whose node was killed resume on another one from where they stood.
    const [alive, orphans] = [watchers.filter((it) => it.closed === undefined), watchers.filter((it) => it.closed)];
    expect(orphans).toHaveLength(2);
    const resumed = await Promise.all(
      orphans.map(async (orphan) => {
        const client = await cluster().connect(1);
        const since = positionOf(orphan, session);
        const ack = await client.subscribe(session, { claim: 'never', since });
        expect(ack).toMatchObject({ recovered: true, position: since });
        return client;
      }),
    );
    await caughtUp([owner, ...alive, ...resumed], session, SENDS);

    const truth = (await historyOf(cluster().node(0), session)).map((message) => [
      message.offset,
      Reflect.get(message, 'data'),
    ]);
    expect(truth).toHaveLength(SENDS);
    expect(new Map(truth.map(([offset, number]) => [number, offset]))).toEqual(acknowledged);
    for (const watcher of alive) {
      expect(messagesOf(watcher, session).map(({ offset, ...rest }) => [offset, Reflect.get(rest, 'data')])).toEqual(
        truth,
      );
    }
    for (const [i, client] of resumed.entries()) {
      const all = [...messagesOf(orphans[i] as RawClient, session), ...messagesOf(client, session)];
      expect(all.map(({ offset, ...rest }) => [offset, Reflect.get(rest, 'data')])).toEqual(truth);
    }
  }, 60_000);

  test('of one key are one message, on whichever node', async () => {
    const session = newSession();
    const first = await cluster().connect(0);
    const { token } = await own(first, session);
    const send = { type: 'send', session_id: session, data: 'once', idempotency_key: 'the-key' } as const;
    expect(await first.request(send)).toMatchObject({ type: 'send_ack', offset: 1 });
    // An anonymous connection gets its principal back by the token; the key belongs to that principal.
    const second = await cluster().connect(1);
    await own(second, session, { reconnect_token: token });
    expect(await second.request(send)).toMatchObject({ type: 'send_ack', offset: 1 });
    expect(codeOf(await second.request({ ...send, data: 'twice' }))).toBe('idempotency_conflict');

    const [one, again] = [1, 2].map((node) =>
      publish(cluster().node(node), session, { data: 2, idempotency_key: 'b' }),
    );
    const published = await Promise.all([one, again]);
    expect(published.map((it) => it?.offset)).toEqual([2, 2]);
    expect(published.filter((it) => it?.duplicate)).toHaveLength(1);
    expect(await historyOf(cluster().node(2), session)).toHaveLength(2);
  });

  test('of the application come with a result for each', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const watcher = await cluster().connect(1);
    const { epoch } = await own(owner, session);
    await watch(watcher, session);
    const results = await publishAll(cluster().node(2), session, [
      { data: { text: 'one' }, expected_owner_epoch: epoch },
      { data: 'stale', expected_owner_epoch: epoch - 1 },
      { bytes: 'AAEC', expected_offset: 1 },
      { data: 'late', expected_offset: 1 },
      { data: 'typing', ephemeral: true },
      { data: null },
    ]);
    expect(results.map((it) => ('error' in it ? it.error.code : it.offset))).toEqual([
      1,
      'stale_epoch',
      2,
      'offset_conflict',
      2,
      3,
    ]);
    await caughtUp([owner, watcher], session, 3);
    const seen = watcher.all('message').map(({ offset, ephemeral = false, ...rest }) => ({
      offset,
      ephemeral,
      payload: 'bytes' in rest ? rest.bytes : rest.data,
    }));
    expect(seen).toEqual([
      { offset: 1, ephemeral: false, payload: { text: 'one' } },
      { offset: 2, ephemeral: false, payload: 'AAEC' },
      { offset: 2, ephemeral: true, payload: 'typing' },
      { offset: 3, ephemeral: false, payload: null },
    ]);
  });

  test('that were missed come after the acknowledgement, the rest is live', async () => {
    const session = newSession();
    const node = cluster().node(0);
    const early = await cluster().connect(0);
    await watch(early, session);
    await publishAll(
      node,
      session,
      Array.from({ length: 30 }, (_, i) => ({ data: i + 1 })),
    );
    await caughtUp([early], session, 30);
    const { epoch } = positionOf(early, session);

    const clients = await Promise.all([0, 1, 2, 0, 1, 2].map((index) => cluster().connect(index)));
    const publishing = (async () => {
      for (let i = 31; i <= 130; i += 1) await publish(node, session, { data: i });
    })();
    const acks = await Promise.all(
      clients.map((client, i) =>
        client.subscribe(session, { claim: 'never', since: i === 0 ? 'oldest' : { epoch, offset: 5 * i } }),
      ),
    );
    await publishing;
    await caughtUp(clients, session, 130);
    for (const [i, client] of clients.entries()) {
      expect(acks[i]).toMatchObject({ recovered: true, position: { epoch, offset: 5 * i } });
      expect(messagesOf(client, session).map(({ offset }) => offset)).toEqual(
        Array.from({ length: 130 - 5 * i }, (_, at) => 5 * i + at + 1),
      );
    }

    const stranger = await cluster().connect(1);
    const lost = await stranger.subscribe(session, { claim: 'never', since: { epoch: 'another', offset: 3 } });
    expect(lost).toMatchObject({ recovered: false, position: { epoch, offset: 130 } });
    const ahead = await cluster().connect(1);
    const since = { epoch, offset: 131 };
    expect(await ahead.subscribe(session, { claim: 'never', since })).toMatchObject({ recovered: false });
  });

  test('are read from Redis once for a crowd that comes back', async () => {
    const session = newSession();
    await publishAll(
      cluster().node(0),
      session,
      Array.from({ length: 1_000 }, (_, i) => ({ data: i })),
    );
    const first = await cluster().connect(0);
    const { epoch } = (await watch(first, session)).position;
    const reads = async () => {
      const metrics = await (await fetch(`${cluster().node(0).internalUrl}/metrics`)).text();
      return Number(/^holdfast_redis_command_duration_seconds_count\{verb="history"\} (\d+)/m.exec(metrics)?.[1] ?? 0);
    };
    const crowd = await Promise.all(Array.from({ length: 60 }, () => cluster().connect(0)));
    const before = await reads();
    const [one, ...others] = crowd as [RawClient, ...RawClient[]];
    await one.subscribe(session, { claim: 'never', since: { epoch, offset: 0 } });
    await caughtUp([one], session, 1_000);
    const alone = (await reads()) - before;
    expect(alone).toBeGreaterThan(0);
    await Promise.all(others.map((it) => it.subscribe(session, { claim: 'never', since: { epoch, offset: 0 } })));
    await caughtUp(others, session, 1_000);
    expect((await reads()) - before).toBeLessThanOrEqual(2 * alone);
  }, 30_000);

  test('signals reach the owner on another node', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    const watcher = await cluster().connect(1);
    await own(owner, session);
    await watch(watcher, session);
    const ack = await watcher.request({ type: 'signal', session_id: session, data: { stop: true } });
    expect(ack).toMatchObject({ type: 'signal_ack', owner: true });
    const signal = await owner.next('signal');
    expect(signal).toMatchObject({ session_id: session, connection_id: watcher.id, data: { stop: true } });
    await owner.release(session);
    await watcher.nextOwnership(session, 'free');
    const late = await watcher.request({ type: 'signal', session_id: session, data: 1 });
    expect(late).toMatchObject({ type: 'signal_ack', owner: false });
  });
});
