import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Sessions } from '../../src/session/sessions.js';
import { FakeSubscriber, say, startDomain } from './domain-harness.js';
import { SID, startWatched } from './interleaving.js';

let sessions: Sessions;
let domain: ReturnType<typeof startDomain>;
let owner: FakeSubscriber;
let watcher: FakeSubscriber;

beforeEach(async () => {
  domain = startDomain();
  sessions = domain.sessions;
  owner = new FakeSubscriber('owner');
  watcher = new FakeSubscriber('watcher');
  await subscribe(owner);
  await subscribe(watcher);
});
afterEach(() => sessions.close());

const subscribe = (who: FakeSubscriber, extra: object = {}) =>
  sessions.subscribe(who, { session_id: SID, ...extra }, 'r1');
const publish = (...data: unknown[]) => sessions.publish(data.map((each) => ({ session_id: SID, data: each })));
const dataOf = (who: FakeSubscriber) =>
  who.of('message').map((message) => ('data' in message ? message.data : undefined));
const seen = (who: FakeSubscriber, data: unknown[]) => vi.waitFor(() => expect(dataOf(who)).toEqual(data));

describe('the messages of a session', () => {
  it('begin after the position of the acknowledgement', async () => {
    await publish('a', 'b');
    await seen(watcher, ['a', 'b']);
    const late = new FakeSubscriber('late');
    await subscribe(late);
    expect(late.last('subscribe_ack').position).toMatchObject({ offset: 2 });
    expect(late.last('subscribe_ack')).not.toHaveProperty('recovered');
    await publish('c');
    await seen(late, ['c']);
    expect(late.of('message')[0]).toMatchObject({ session_id: SID, offset: 3 });
  });

  it('are recovered by who comes back with a position, behind the acknowledgement', async () => {
    await publish('a', 'b', 'c');
    await seen(watcher, ['a', 'b', 'c']);
    const { epoch } = watcher.last('subscribe_ack').position;
    const back = new FakeSubscriber('watcher');
    await subscribe(back, { since: { epoch, offset: 1 } });
    expect(back.last('subscribe_ack')).toMatchObject({ position: { epoch, offset: 1 }, recovered: true });
    await publish('d');
    await seen(back, ['b', 'c', 'd']);
    expect(back.frames[0]?.type).toBe('subscribe_ack');
    const stranger = new FakeSubscriber('stranger');
    await subscribe(stranger, { since: { epoch: '3', offset: 1 } });
    expect(stranger.last('subscribe_ack')).toMatchObject({ position: { epoch, offset: 4 }, recovered: false });
  });

  it('miss nothing of what is published while a subscription is on its way', async () => {
    const all = Array.from({ length: 40 }, (_, index) => index);
    const late = new FakeSubscriber('late');
    const joined = subscribe(late, { since: 'oldest' });
    for (const each of all) {
      void publish(each);
      if (each % 7 === 0) await nextTurn();
    }
    await joined;
    await seen(late, all);
  });

  it('are sent by the owner, in order with its loss of the session', async () => {
    await say(sessions, owner, { type: 'send', id: 's1', session_id: SID, data: 'mine' });
    const { owner_epoch } = owner.last('subscribe_ack');
    expect(owner.last('send_ack')).toEqual({ type: 'send_ack', id: 's1', session_id: SID, offset: 1, owner_epoch });
    await seen(watcher, ['mine']);
    expect(watcher.last('message')).toMatchObject({ offset: 1, owner_epoch });
    // Message and event reach the node in one turn.
    await publish('last');
    await sessions.release(owner, SID);
    await vi.waitFor(() => expect(watcher.last('ownership').state).toBe('free'));
    expect(watcher.frames.slice(-2).map(({ type }) => type)).toEqual(['message', 'ownership']);
  });

  it('come before the end of a subscription', async () => {
    await publish('last');
    await sessions.removeSubscriptions(SID, {});
    await vi.waitFor(() => expect(watcher.last('unsubscribed').reason).toBe('removed'));
    expect(watcher.frames.slice(-2).map(({ type }) => type)).toEqual(['message', 'unsubscribed']);
    await publish('later');
    await nextTurn();
    expect(dataOf(watcher)).toEqual(['last']);
  });

  it('do not go to who has left', async () => {
    await sessions.unsubscribe(watcher, SID);
    await publish('later');
    await seen(owner, ['later']);
    expect(dataOf(watcher)).toEqual([]);
  });

  it('go from a watcher to the owner as a signal, behind what was published before', async () => {
    await publish('before');
    await sessions.signal(watcher, { type: 'signal', id: 'g1', session_id: SID, data: 'stop' });
    expect(watcher.last('signal_ack')).toEqual({ type: 'signal_ack', id: 'g1', session_id: SID, owner: true });
    await vi.waitFor(() => expect(owner.last('signal')).toMatchObject({ connection_id: watcher.id, data: 'stop' }));
    expect(owner.frames.slice(-2).map(({ type }) => type)).toEqual(['message', 'signal']);
    expect(watcher.of('signal')).toEqual([]);
  });

  it('can be read, trimmed and removed', async () => {
    await publish('a', 'b', 'c');
    const page = await sessions.history(SID, { after: 1 }, 10);
    expect(page).toMatchObject({ first_offset: 1, position: { offset: 3 }, messages: [{ data: 'b' }, { data: 'c' }] });
    await sessions.truncate(SID, 2);
    expect((await sessions.history(SID, { after: 0 }, 10)).messages).toMatchObject([{ offset: 3 }]);
    expect(await sessions.inspect(SID)).toMatchObject({ first_offset: 3, position: { offset: 3 }, state: 'owned' });
    await sessions.remove(SID);
    await vi.waitFor(() => expect(watcher.last('unsubscribed').reason).toBe('removed'));
    expect((await sessions.history(SID, { after: 0 }, 10)).messages).toEqual([]);
  });

  it('can be read before there are any, and followed from there', async () => {
    const { position, ...page } = await sessions.history('new', { before: Number.MAX_SAFE_INTEGER }, 10);
    expect(page).toEqual({ session_id: 'new', messages: [], first_offset: 1 });
    expect(position).toEqual({ epoch: expect.stringMatching(/^.+$/), offset: 0 });
    await sessions.publish([{ session_id: 'new', data: 'first' }]);
    const follower = new FakeSubscriber('follower');
    await subscribe(follower, { session_id: 'new', since: position });
    expect(follower.last('subscribe_ack')).toMatchObject({ position, recovered: true });
    await seen(follower, ['first']);
  });

  it('reach whoever is there although the bus loses some', async () => {
    const lossy = vi.spyOn(domain.bus, 'publish').mockResolvedValue();
    await publish('lost');
    lossy.mockRestore();
    await publish('heard');
    await seen(watcher, ['lost', 'heard']);
  });
});

describe('after a gap in the events', () => {
  it('what was missed last is found without another message', async () => {
    const gapped = startWatched();
    const follower = new FakeSubscriber('follower');
    await gapped.subscribe(follower);
    const lossy = vi.spyOn(gapped.bus, 'publish').mockResolvedValue();
    await gapped.sessions.publish([{ session_id: SID, data: 'lost' }]);
    lossy.mockRestore();
    const states = vi.spyOn(gapped.messages, 'states').mockRejectedValueOnce(new Error('away'));
    gapped.gap();
    await vi.waitFor(() => expect(dataOf(follower)).toEqual(['lost']), 3_000);
    expect(states).toHaveBeenCalledTimes(2);
    await gapped.sessions.close();
  });
});

it('counts nobody as present whom the acknowledgement has closed', async () => {
  const { sessions: present } = startDomain({ settings: { presence: true } });
  const closing = new FakeSubscriber('closing');
  closing.send = () => {
    closing.open = false;
    void present.closed(closing, { release: true });
  };
  await present.subscribe(closing, { session_id: SID }, undefined);
  await present.subscribe(watcher, { session_id: SID }, undefined);
  await vi.waitFor(() => expect(watcher.last('presence')).toMatchObject({ event: 'present', count: 1 }));
  await present.unsubscribe(watcher, SID);
  await vi.waitFor(async () => expect((await present.inspect(SID)).presence?.count).toBe(0));
  await present.close();
});
