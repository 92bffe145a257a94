import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { historyOf, positionOf, publish } from '../support/message-calls.js';
import { eventually, type PrivateRedis, redisCall, startPrivateRedis } from '../support/redis-process.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { newSession, own, useCluster, watch } from './use-cluster.js';

let master: PrivateRedis;
let replica: PrivateRedis;
let proxy: TcpProxy;

beforeAll(async () => {
  master = await startPrivateRedis();
  proxy = await TcpProxy.start(master.port);
});

afterAll(async () => {
  await proxy?.stop();
  await Promise.all([master?.stop(), replica?.stop()]);
});

describe('a failover that loses the last messages', () => {
  const cluster = useCluster(async () => ({ nodes: 2, redisUrl: `redis://127.0.0.1:${proxy.port}` }));

  test('gives no offset twice under one epoch, and tells everyone who has seen what is gone', async () => {
    const [lost, kept] = [newSession(), newSession()];
    const live = await cluster().connect(0);
    const leaver = await cluster().connect(1);
    const early = await cluster().connect(1);
    for (const session of [lost, kept]) {
      await watch(live, session);
      await watch(leaver, session);
      await watch(early, session);
      for (let i = 1; i <= 5; i += 1) await publish(cluster().node(0), session, { data: `before ${i}` });
    }
    await expect.poll(() => positionOf(early, lost).offset).toBe(5);
    const earlySince = positionOf(early, lost);
    early.terminate();

    replica = await startPrivateRedis({ args: ['--replicaof', `127.0.0.1 ${master.port}`] });
    await eventually('the replica', async () =>
      String(await redisCall(replica.port, 'INFO', 'replication')).includes('master_link_status:up'),
    );
    // Cut off: from here on the replica misses what the master acknowledges.
    await redisCall(replica.port, 'REPLICAOF', 'NO', 'ONE');
    for (let i = 6; i <= 9; i += 1) await publish(cluster().node(1), lost, { data: `gone ${i}` });
    await expect.poll(() => [live, leaver].map((it) => positionOf(it, lost).offset)).toEqual([9, 9]);
    const leaverSince = positionOf(leaver, lost);
    leaver.terminate();

    proxy.retarget(replica.port);
    await master.kill();
    await eventually('the nodes', async () => {
      const ready = await Promise.all(cluster().nodes.map((node) => node.isReady()));
      return ready.every(Boolean);
    });
    await publish(cluster().node(1), lost, { data: 'after 6' });
    await publish(cluster().node(0), kept, { data: 'after 6' });

    // Who has seen what is gone is told, and goes on with what there is.
    await live.next('reset', (it) => it.session_id === lost && !it.recovered, 10_000);
    await expect
      .poll(async () => (await historyOf(cluster().node(0), lost)).map((it) => Reflect.get(it, 'data')))
      .toEqual([...[1, 2, 3, 4, 5].map((i) => `before ${i}`), 'after 6']);
    await expect.poll(() => positionOf(live, lost).offset, { timeout: 10_000 }).toBe(6);
    expect(positionOf(live, lost).epoch).not.toBe(leaverSince.epoch);
    const returned = await cluster().connect(0);
    expect(await returned.subscribe(lost, { claim: 'never', since: leaverSince })).toMatchObject({
      recovered: false,
      position: { offset: 6 },
    });

    // Who stood before the fork has missed one message and lost none.
    const late = await cluster().connect(1);
    const ack = await late.subscribe(lost, { claim: 'never', since: earlySince });
    expect(ack).toMatchObject({ recovered: true, position: { epoch: positionOf(live, lost).epoch, offset: 5 } });
    expect(await late.next('message')).toMatchObject({ offset: 6, data: 'after 6' });

    // Nothing of this session was lost: only its epoch is new.
    const reset = await live.next('reset', (it) => it.session_id === kept, 10_000);
    expect(reset).toMatchObject({ recovered: true, position: { offset: 5 } });
    expect(await live.next('message', (it) => it.session_id === kept && it.offset === 6)).toMatchObject({
      data: 'after 6',
    });
  }, 60_000);

  test('is no obstacle to a new owner', async () => {
    const session = newSession();
    const owner = await cluster().connect(0);
    await own(owner, session);
    const ack = await owner.request({ type: 'send', session_id: session, data: 1 });
    expect(ack).toMatchObject({ type: 'send_ack', offset: 1 });
  });
});

describe('a Redis that restarts without its data', () => {
  const cluster = useCluster({ nodes: 2 });

  test('ends the history, and everyone is told', async () => {
    const session = newSession();
    const live = await cluster().connect(0);
    await watch(live, session);
    for (let i = 1; i <= 3; i += 1) await publish(cluster().node(1), session, { data: i });
    await live.next('message', ({ offset }) => offset === 3);
    const since = positionOf(live, session);
    await cluster().redis.restart();
    await expect.poll(() => cluster().node(1).isReady(), { timeout: 10_000 }).toBe(true);
    expect(await publish(cluster().node(1), session, { data: 'first again' })).toMatchObject({ offset: 1 });
    expect(await live.next('reset', undefined, 10_000)).toMatchObject({ recovered: false });
    const back = await cluster().connect(1);
    expect(await back.subscribe(session, { claim: 'never', since })).toMatchObject({ recovered: false });
  });
});
