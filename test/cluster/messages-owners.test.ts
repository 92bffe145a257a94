import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { ServerMessage } from '../../src/protocol/messages.js';
import { historyOf, positionOf } from '../support/message-calls.js';
import { expectReply, type RawClient } from '../support/raw-client.js';
import { codeOf, newSession, own, useCluster, watch } from './use-cluster.js';

const REFUSED = ['not_owner', 'ownership_unconfirmed'];

/** The history, as far as it tells who said what. */
async function stored(node: Parameters<typeof historyOf>[0], session: string) {
  const history = await historyOf(node, session);
  return history.map((message) => ({
    offset: message.offset,
    owner_epoch: message.owner_epoch,
    data: Reflect.get(message, 'data') as unknown,
  }));
}

/** Of the history: the contents alone. */
async function contents(node: Parameters<typeof historyOf>[0], session: string): Promise<unknown[]> {
  return (await stored(node, session)).map(({ data }) => data);
}

describe('messages of owners that are owners no longer', () => {
  const cluster = useCluster({ nodes: 3, proxied: true });
  const send = (client: RawClient, session: string, data: unknown, key?: string) =>
    client.request(
      { type: 'send', session_id: session, data, ...(key !== undefined && { idempotency_key: key }) },
      10_000,
    );

  /** One who has sent a message, and on another node one who waits for the session. */
  const ownedAndWatched = async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const { epoch } = await own(old, session);
    expectReply('send_ack', await send(old, session, 'before'));
    const next = await cluster().connect(1);
    await watch(next, session);
    return { session, old, epoch, next };
  };

  test('are refused when their node slept past the lease and another owns the session', async () => {
    const { session, old, epoch, next } = await ownedAndWatched();
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

  test('are refused when their node was cut off from Redis and another owns the session', async () => {
    const { session, old, epoch, next } = await ownedAndWatched();
    const late: Promise<ServerMessage>[] = [];
    const goOn = () => {
      for (let i = 0; i < 20; i += 1) late.push(send(old, session, `late ${late.length}`));
    };
    cluster().proxy(0).pause();
    // Its node is still sure of the lease: these are for the store to refuse, when they arrive.
    goOn();
    await next.nextOwnership(session, 'free', 10_000);
    const claimed = await next.claim(session);
    expectReply('send_ack', await send(next, session, 'mine'));
    expect(codeOf(await send(old, session, 'unsure'))).toBe('ownership_unconfirmed');
    goOn();
    cluster().proxy(0).resume();
    goOn();
    await old.next('ownership_lost', ({ reason }) => reason !== 'lease_unconfirmed', 10_000);
    goOn();
    for (const reply of await Promise.all(late)) expect([...REFUSED, 'store_unavailable']).toContain(codeOf(reply));
    expectReply('send_ack', await send(next, session, 'mine too'));
    expect(await stored(cluster().node(2), session)).toEqual([
      { offset: 1, owner_epoch: epoch, data: 'before' },
      { offset: 2, owner_epoch: claimed.owner_epoch, data: 'mine' },
      { offset: 3, owner_epoch: claimed.owner_epoch, data: 'mine too' },
    ]);
  });

  test('are refused while another takes over with the token in the middle of a stream', async () => {
    const session = newSession();
    const old = await cluster().connect(0);
    const { token, epoch } = await own(old, session);
    const next = await cluster().connect(1);
    const stream = async (client: RawClient, name: string, isOver: (count: number) => boolean) => {
      const replies: Promise<ServerMessage>[] = [];
      while (!isOver(replies.length)) {
        replies.push(send(client, session, `${name} ${replies.length}`));
        await sleep(1);
      }
      return Promise.all(replies);
    };
    // Always some are on their way to the store when the other takes over, and its first messages are there before.
    cluster().proxy(0).delay(30);
    const streaming = stream(old, 'old', () => old.all('ownership_lost').length > 0);
    await expect.poll(() => old.all('send_ack').length).toBeGreaterThan(0);
    const ack = await next.subscribe(session, { reconnect_token: token, since: 'oldest' });
    expect(ack.owner).toBe(true);
    const taken = await stream(next, 'next', (count) => count === 40);
    const replies = await streaming;

    const refused = replies.filter(({ type }) => type !== 'send_ack');
    expect(refused).not.toEqual([]);
    for (const reply of refused) expect(REFUSED).toContain(codeOf(reply));
    const acknowledged = (acks: ServerMessage[], name: string, owner_epoch: number) =>
      acks.map((reply, i) => ({ offset: expectReply('send_ack', reply).offset, owner_epoch, data: `${name} ${i}` }));
    const history = await stored(cluster().node(2), session);
    expect(history).toEqual([
      ...acknowledged(replies.slice(0, -refused.length), 'old', epoch),
      ...acknowledged(taken, 'next', ack.owner_epoch),
    ]);
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
    const sent: { owner_epoch: number; data: string }[] = [];
    const acknowledged = new Set<unknown>();
    let rest = {};
    for (let round = 0; round < 9; round += 1) {
      const owner = await cluster().connect(0);
      const next = await cluster().connect(1);
      const { epoch, token } = await own(owner, session, rest);
      const mine = Array.from({ length: 10 }, (_, i) => ({ owner_epoch: epoch, data: `${round} ${i}` }));
      // In turn: they come to the store after the next owner; they are stored and the owner never hears; it hears of some.
      const [isLate, isUnheard] = [round % 3 === 0, round % 3 === 1];
      if (isLate) cluster().proxy(0).pause();
      if (isUnheard) owner.stopReading();
      for (const { data } of mine) owner.send({ type: 'send', session_id: session, data });
      if (isUnheard) await watcher.next('message', (message) => Reflect.get(message, 'data') === mine[0]?.data);
      else if (!isLate) await owner.next('send_ack');
      for (const { data } of mine.slice(0, owner.all('send_ack').length)) acknowledged.add(data);
      owner.terminate();

      const taken = await own(next, session, { reconnect_token: token });
      const theirs = { owner_epoch: taken.epoch, data: `${round} next` };
      expectReply('send_ack', await send(next, session, theirs.data));
      acknowledged.add(theirs.data);
      sent.push(...mine, theirs);
      cluster().proxy(0).resume();
      rest = { reconnect_token: taken.token };
    }
    const history = await stored(cluster().node(0), session);
    const kept = new Set(history.map(({ data }) => data));
    expect(history).toMatchObject(sent.filter(({ data }) => acknowledged.has(data) || kept.has(data)));
    expect(kept.size).toBeGreaterThan(acknowledged.size);
    expect(kept.size).toBeLessThan(sent.length);
  });
});
