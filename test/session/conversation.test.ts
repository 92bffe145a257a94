import { afterEach, describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/protocol/errors.js';
import type { SessionSettings } from '../../src/session/session-node.js';
import { FakeSubscriber, offsetsOf, rightsTo, SESSION, send, startTalk } from './conversation-harness.js';
import { say } from './domain-harness.js';

const S = SESSION;

let domain: ReturnType<typeof startTalk>;
function start(settings: Partial<SessionSettings> = {}) {
  domain = startTalk(settings);
  return domain;
}
afterEach(() => domain.close());

describe('a message of the owner', () => {
  it('is stored, and acknowledged with its offset and the owner epoch', async () => {
    const { conversation, own, stored, counted, alice } = start();
    const { view } = await own(alice, S);
    await say(conversation, alice, send({ text: 'hi' }, { id: '7' }));
    await say(conversation, alice, { type: 'send', session_id: S, bytes: 'AAE=' });
    expect(alice.of('send_ack')).toEqual([
      { type: 'send_ack', id: '7', session_id: S, offset: 1, owner_epoch: view.epoch },
      { type: 'send_ack', session_id: S, offset: 2, owner_epoch: view.epoch },
    ]);
    expect(await stored(S)).toEqual([
      { offset: 1, at: expect.any(Number), owner_epoch: view.epoch, principal: 'alice', data: { text: 'hi' } },
      { offset: 2, at: expect.any(Number), owner_epoch: view.epoch, principal: 'alice', bytes: 'AAE=' },
    ]);
    expect(counted).toEqual(['published owner 1', 'published owner 1']);
  });

  it('does not tell who sent it where principals are not shown', async () => {
    const { conversation, own, stored, alice } = start({ exposePrincipals: false });
    await own(alice, S);
    await say(conversation, alice, send(1));
    expect(await stored(S)).not.toContainEqual(expect.objectContaining({ principal: 'alice' }));
  });

  it('keeps the order in which it was sent, in one request', async () => {
    const { conversation, own, stored, appends, alice } = start();
    await own(alice, S);
    const all = Array.from({ length: 50 }, (_, index) => say(conversation, alice, send(index)));
    await Promise.all(all);
    expect((await stored(S)).map((message) => 'data' in message && message.data)).toEqual([...all.keys()]);
    expect(offsetsOf(alice)).toEqual(Array.from(all.keys(), (index) => index + 1));
    expect(appends).toHaveLength(1);
  });

  it('needs a subscription, the right, and ownership', async () => {
    const { conversation, own, follow, counted, alice, bob } = start();
    await expect(say(conversation, alice, send(1))).rejects.toMatchObject({ code: 'not_subscribed' });
    await own(alice, S);
    await follow(bob, S);
    await expect(say(conversation, bob, send(1))).rejects.toMatchObject({ code: 'not_owner' });
    alice.rights = rightsTo('watch', 'own');
    await expect(say(conversation, alice, send(1))).rejects.toMatchObject({ code: 'forbidden' });
    expect(counted).toEqual(['refused not_subscribed', 'refused not_owner', 'refused forbidden']);
  });

  it('is refused while the lease is not confirmed', async () => {
    const { conversation, own, clock, counted, alice, appends } = start();
    await own(alice, S);
    clock.advance(60_000);
    await expect(say(conversation, alice, send(1))).rejects.toMatchObject({ code: 'ownership_unconfirmed' });
    expect(counted).toEqual(['fenced lease', 'refused ownership_unconfirmed']);
    expect(appends).toEqual([]);
  });

  it('is fenced by the store when another has taken the session, of which this node has not heard', async () => {
    const { conversation, own, node, store, stored, counted, alice } = start();
    const { view } = await own(alice, S);
    const ref = { sessionId: S, connectionId: alice.id, epoch: view.epoch };
    await store.release({
      ...ref,
      requestId: 'r',
      reason: 'released',
      policy: 'next_subscriber',
      staysWatching: false,
    });
    expect(node.leases.of(S, alice)).toBeDefined();
    await expect(say(conversation, alice, send(1))).rejects.toMatchObject({ code: 'not_owner' });
    expect(counted).toEqual(['fenced store', 'refused not_owner']);
    expect(await stored(S)).toEqual([]);
  });

  it('has at most maxMessageBytes as it is kept', async () => {
    const { conversation, own, stored, alice } = start({ maxMessageBytes: 100, exposePrincipals: false });
    const { view } = await own(alice, S);
    const room = 100 - `,"owner_epoch":${view.epoch},"data":""}`.length;
    await say(conversation, alice, send('x'.repeat(room)));
    await expect(say(conversation, alice, send('x'.repeat(room + 1)))).rejects.toMatchObject({
      code: 'message_too_large',
    });
    await expect(say(conversation, alice, send('é'.repeat(room)))).rejects.toMatchObject({
      code: 'message_too_large',
    });
    expect(await stored(S)).toHaveLength(1);
  });

  it('is one of so many a second', async () => {
    const { conversation, own, stored, clock, alice } = start({ sendsPerSecond: 4 });
    await own(alice, S);
    for (let sent = 0; sent < 4; sent++) await say(conversation, alice, send(sent));
    const refused = { code: 'rate_limited', retryAfterMs: 250 };
    await expect(say(conversation, alice, send('x'))).rejects.toMatchObject(refused);
    clock.advance(249);
    await expect(say(conversation, alice, send('x'))).rejects.toMatchObject({ code: 'rate_limited', retryAfterMs: 1 });
    clock.advance(1);
    await say(conversation, alice, send('y'));
    clock.advance(10_000);
    for (let sent = 0; sent < 4; sent++) await say(conversation, alice, send(sent));
    await expect(say(conversation, alice, send('x'))).rejects.toMatchObject(refused);
    expect(await stored(S)).toHaveLength(9);
  });

  it('is one of so many a second also of who lets the session go and takes it again', async () => {
    const { conversation, own, node, stored, clock, alice } = start({ sendsPerSecond: 2 });
    const taken = async () => {
      const lease = node.leases.of(S, alice);
      if (lease !== undefined) node.depart(lease, { release: 'released' });
      await node.departures.settled();
      await own(alice, S);
    };
    for (let sent = 0; sent < 2; sent++) {
      await taken();
      await say(conversation, alice, send(sent));
    }
    await taken();
    await expect(say(conversation, alice, send('x'))).rejects.toMatchObject({ code: 'rate_limited' });
    clock.advance(500);
    await say(conversation, alice, send('y'));
    expect(await stored(S)).toHaveLength(3);
  });

  it('is the same message under the same key, over another connection and after another owner', async () => {
    const { conversation, own, leave, stored, alice, bob, counted } = start();
    await own(alice, S);
    const message = send('once', { idempotency_key: 'k' });
    await say(conversation, alice, message);
    await leave(alice, S);
    await own(bob, S);
    await say(conversation, bob, message);
    await leave(bob, S);
    const again = new FakeSubscriber('alice');
    await own(again, S);
    await say(conversation, again, message);
    expect(offsetsOf(again)).toEqual([1]);
    // Another principal's key is another key.
    expect(offsetsOf(bob)).toEqual([2]);
    expect(await stored(S)).toHaveLength(2);
    expect(counted).toEqual(['published owner 1', 'published owner 1']);
    const other = send('twice', { idempotency_key: 'k' });
    await expect(say(conversation, again, other)).rejects.toMatchObject({ code: 'idempotency_conflict' });
  });

  it('is acknowledged as sent under the same key, also to who does not get the session back', async () => {
    const { conversation, own, follow, leave, stored, alice, bob, counted } = start();
    await own(alice, S);
    await say(conversation, alice, send('once', { idempotency_key: 'k' }));
    await leave(alice, S);
    await own(bob, S);
    const again = new FakeSubscriber('alice');
    await follow(again, S);
    await say(conversation, again, send('once', { idempotency_key: 'k' }));
    expect(offsetsOf(again)).toEqual([1]);
    const refused = (message: ReturnType<typeof send>) => expect(say(conversation, again, message)).rejects;
    await refused(send('other', { idempotency_key: 'k' })).toMatchObject({ code: 'idempotency_conflict' });
    await refused(send('once', { idempotency_key: 'new' })).toMatchObject({ code: 'not_owner' });
    expect(await stored(S)).toHaveLength(1);
    expect(counted).toEqual(['published owner 1', 'refused idempotency_conflict', 'refused not_owner']);
  });

  it('is acknowledged as sent when only the answer was lost, also to who does not own the session any more', async () => {
    const { conversation, own, store, messages, seam, stored, alice } = start();
    const { view } = await own(alice, S);
    seam.append = async (request) => {
      await messages.append(request);
      const ref = { sessionId: S, connectionId: alice.id, epoch: view.epoch };
      const release = { requestId: 'r', reason: 'released', policy: 'next_subscriber', staysWatching: false } as const;
      await store.release({ ...ref, ...release });
      seam.append = (again) => messages.append(again);
      throw new HoldfastError('store_unavailable', 'the answer was lost');
    };
    await say(conversation, alice, send('once'));
    expect(offsetsOf(alice)).toEqual([1]);
    expect(await stored(S)).toHaveLength(1);
  });
});

describe('a signal', () => {
  it('goes to the owner and the application', async () => {
    const { conversation, own, follow, node, application, counted, alice, bob } = start();
    await node.hub.join(S);
    await own(alice, S);
    await follow(bob, S);
    await conversation.signal(bob, { type: 'signal', id: '3', session_id: S, data: 'stop' });
    await expect
      .poll(() => alice.of('signal'))
      .toEqual([{ type: 'signal', session_id: S, connection_id: bob.id, principal: 'bob', data: 'stop' }]);
    expect(bob.of('signal_ack')).toEqual([{ type: 'signal_ack', id: '3', session_id: S, owner: true }]);
    expect(bob.of('signal')).toEqual([]);
    expect(application.signals).toMatchObject([
      [{ sessionId: S, connectionId: bob.id, principal: 'bob' }, { data: 'stop' }],
    ]);
    expect(counted).toEqual(['signalled']);
  });

  it('says that there was no owner, and who sent it only where principals are shown', async () => {
    const { conversation, own, follow, node, alice, bob } = start({ exposePrincipals: false });
    await node.hub.join(S);
    await follow(bob, S);
    await conversation.signal(bob, { type: 'signal', session_id: S, bytes: 'AA==' });
    expect(bob.last('signal_ack').owner).toBe(false);
    await new Promise((resolve) => setImmediate(resolve));
    await own(alice, S);
    await conversation.signal(bob, { type: 'signal', session_id: S, bytes: 'AA==' });
    await expect.poll(() => alice.of('signal')).toHaveLength(1);
    expect(alice.last('signal')).not.toHaveProperty('principal');
  });

  it('needs a subscription and the right, and has a size', async () => {
    const { conversation, follow, application, bob } = start({ maxMessageBytes: 50 });
    const signal = (data: unknown) => ({ type: 'signal', session_id: S, data }) as const;
    await expect(conversation.signal(bob, signal(1))).rejects.toMatchObject({ code: 'not_subscribed' });
    await follow(bob, S);
    await expect(conversation.signal(bob, signal('x'.repeat(50)))).rejects.toMatchObject({ code: 'message_too_large' });
    bob.rights = rightsTo('watch', 'send');
    await expect(conversation.signal(bob, signal(1))).rejects.toMatchObject({ code: 'forbidden' });
    expect(application.signals).toEqual([]);
  });
});
