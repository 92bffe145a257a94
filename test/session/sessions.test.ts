import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { leaseMsOf } from '../../src/session/session-node.js';
import type { Sessions } from '../../src/session/sessions.js';
import { FakeSubscriber, startDomain } from './domain-harness.js';

const SID = 'doc:1';

describe('sessions of one node', () => {
  let sessions: Sessions;
  let domain: ReturnType<typeof startDomain>;
  let ann: FakeSubscriber;
  let bob: FakeSubscriber;

  beforeEach(() => {
    domain = startDomain();
    sessions = domain.sessions;
    ann = new FakeSubscriber('ann');
    bob = new FakeSubscriber('bob');
  });
  afterEach(() => sessions.close());

  const subscribe = (who: FakeSubscriber, extra: object = {}) =>
    sessions.subscribe(who, { session_id: SID, ...extra }, 'r1');
  const code = (promise: Promise<unknown>) =>
    promise.then(
      () => 'ok',
      (error: { code?: string }) => error.code,
    );
  const drop = async (who: FakeSubscriber, how = { release: false }) => {
    who.open = false;
    await sessions.closed(who, how);
  };

  it('makes the first subscriber the owner and gives only it a token', async () => {
    await subscribe(ann);
    await subscribe(bob);
    expect(ann.last('subscribe_ack')).toMatchObject({ id: 'r1', owner: true, state: 'owned', grace_ms: 120 });
    expect(ann.last('subscribe_ack').reconnect_token).toMatch(/^[0-9a-f-]{36}\./);
    expect(bob.last('subscribe_ack')).toMatchObject({ owner: false, state: 'owned' });
    expect(bob.last('subscribe_ack')).not.toHaveProperty('reconnect_token');
  });

  it('holds after a disconnect, gives the session back with the token, and only with it', async () => {
    await subscribe(ann);
    const { reconnect_token: token = '', owner_epoch: epoch } = ann.last('subscribe_ack');
    await subscribe(bob);
    await drop(ann);
    await vi.waitFor(() => expect(bob.last('ownership')).toMatchObject({ state: 'held', owner_epoch: epoch }));
    expect(await code(sessions.claim(bob, { session_id: SID }, undefined))).toBe('session_held');

    const back = new FakeSubscriber('ann');
    await subscribe(back, { reconnect_token: token });
    const ack = back.last('subscribe_ack');
    expect(ack).toMatchObject({ owner: true, token_status: 'accepted' });
    expect(ack.owner_epoch).toBeGreaterThan(epoch);
    expect(ack.reconnect_token).not.toBe(token);
    const again = new FakeSubscriber('ann');
    expect(await code(subscribe(again, { reconnect_token: token }))).toBe('reconnect_token_used');
    expect(sessions.subscriptionCount(again)).toBe(0);
  });

  it('tells watchers once that the grace period ended, and the next subscriber owns', async () => {
    await subscribe(ann);
    const { reconnect_token: token = '' } = ann.last('subscribe_ack');
    await subscribe(bob);
    await drop(ann);
    await vi.waitFor(() => expect(bob.last('ownership').state).toBe('free'));
    await sleep(100);
    expect(bob.of('ownership').map(({ reason }) => reason)).toEqual(['disconnected', 'expired']);
    const late = new FakeSubscriber('ann');
    await subscribe(late, { reconnect_token: token });
    expect(late.last('subscribe_ack')).toMatchObject({ owner: true, token_status: 'expired' });
  });

  it('refuses a token of another session or principal and changes nothing', async () => {
    await subscribe(ann);
    const { reconnect_token: token = '', owner_epoch: epoch } = ann.last('subscribe_ack');
    expect(await code(subscribe(bob, { reconnect_token: token }))).toBe('invalid_reconnect_token');
    const elsewhere = { session_id: 'doc:2', reconnect_token: token };
    expect(await code(sessions.subscribe(new FakeSubscriber('ann'), elsewhere, 'r'))).toBe('invalid_reconnect_token');
    expect(await sessions.inspect(SID)).toMatchObject({ state: 'owned', owner_epoch: epoch, connection_id: ann.id });
  });

  it('lets a token take over from a connection that still looks alive, and tells the old one', async () => {
    await subscribe(ann);
    const { reconnect_token: token = '' } = ann.last('subscribe_ack');
    const second = new FakeSubscriber('ann');
    await subscribe(second, { reconnect_token: token });
    expect(ann.last('ownership_lost')).toMatchObject({ reason: 'reclaimed' });
    expect(await code(sessions.release(ann, SID))).toBe('not_owner');
    expect(second.of('ownership_lost')).toEqual([]);
  });

  it('frees at once on unsubscribe and on release, without telling the owner that it lost anything', async () => {
    await subscribe(ann);
    await subscribe(bob);
    await sessions.release(ann, SID);
    await vi.waitFor(() => expect(bob.last('ownership')).toMatchObject({ state: 'free', reason: 'released' }));
    await sessions.claim(bob, { session_id: SID }, 'c1');
    expect(bob.last('claim_ack')).toMatchObject({ id: 'c1', owner: true });
    await sessions.unsubscribe(bob, SID);
    await vi.waitFor(() => expect(ann.last('ownership')).toMatchObject({ state: 'free', reason: 'unsubscribed' }));
    expect([...ann.of('ownership_lost'), ...bob.of('ownership_lost')]).toEqual([]);
  });

  it('frees at once when the connection is closed for good', async () => {
    await subscribe(ann);
    await subscribe(bob);
    await drop(ann, { release: true });
    await vi.waitFor(() => expect(bob.last('ownership')).toMatchObject({ state: 'free', reason: 'revoked' }));
  });

  it('answers a repeated attempt from another connection with the same token', async () => {
    const attempt = { attempt_id: 'a'.repeat(22) };
    await subscribe(ann, attempt);
    const first = ann.last('subscribe_ack');
    const again = new FakeSubscriber('ann');
    await subscribe(again, attempt);
    expect(again.last('subscribe_ack')).toMatchObject({ owner: true, reconnect_token: first.reconnect_token });
    expect(again.last('subscribe_ack').owner_epoch).toBeGreaterThan(first.owner_epoch);

    const reclaim = { reconnect_token: first.reconnect_token, attempt_id: 'b'.repeat(22) };
    const third = new FakeSubscriber('ann');
    const fourth = new FakeSubscriber('ann');
    await subscribe(third, reclaim);
    await subscribe(fourth, reclaim);
    expect(fourth.last('subscribe_ack').reconnect_token).toBe(third.last('subscribe_ack').reconnect_token);
    expect(third.last('ownership_lost').reason).toBe('reclaimed');
  });

  it('restores the principal of an anonymous connection', async () => {
    const anonymous = new FakeSubscriber('anon:1', true);
    await subscribe(anonymous);
    const { reconnect_token } = anonymous.last('subscribe_ack');
    await drop(anonymous);
    const back = new FakeSubscriber('anon:2', true);
    await subscribe(back, { reconnect_token });
    expect(back.last('subscribe_ack').owner).toBe(true);
    expect(back.principal).toBe('anon:1');
  });

  it('needs rights to watch, to own and to force', async () => {
    ann.rights = { allows: () => false };
    expect(await code(subscribe(ann))).toBe('forbidden');
    ann.rights = { allows: (right) => right === 'watch' };
    await subscribe(ann);
    expect(ann.last('subscribe_ack')).toMatchObject({ owner: false, state: 'free' });
    expect(await code(sessions.claim(ann, { session_id: SID }, undefined))).toBe('forbidden');
    bob.rights = { allows: (right) => right !== 'force' };
    await subscribe(bob);
    expect(await code(sessions.claim(bob, { session_id: SID, force: true }, undefined))).toBe('forbidden');
  });

  it('takes by force under the lock', async () => {
    await subscribe(ann);
    await subscribe(bob);
    expect(await code(sessions.claim(bob, { session_id: SID }, undefined))).toBe('session_owned');
    await sessions.claim(bob, { session_id: SID, force: true }, undefined);
    expect(bob.last('claim_ack').owner).toBe(true);
    expect(ann.last('ownership_lost').reason).toBe('forced');
    expect(domain.lock.holder(SID)).toBe('');
  });

  it('moves ownership where the application wants it, with a token', async () => {
    // No lease is renewed while it goes.
    await sessions.close();
    sessions = startDomain({ graceMs: 5_000 }).sessions;
    await subscribe(ann);
    await subscribe(bob);
    expect(await sessions.giveOwner(SID, { principal: 'bob' })).toMatchObject({
      principal: 'bob',
      connection_id: bob.id,
    });
    expect(bob.last('ownership')).toMatchObject({ owner: true, reason: 'transferred' });
    const { reconnect_token } = bob.last('ownership');
    await drop(bob);
    const back = new FakeSubscriber('bob');
    await subscribe(back, { reconnect_token });
    expect(back.last('subscribe_ack').owner).toBe(true);
    expect(await sessions.removeOwner(SID)).toMatchObject({ state: 'free' });
    await vi.waitFor(() => expect(back.last('ownership_lost').reason).toBe('removed'));
    expect(await code(sessions.giveOwner(SID, { connection_id: 'c_nobody' }))).toBe('connection_not_found');
  });

  it('unsubscribes whom the application names, and frees what it owned', async () => {
    await subscribe(ann);
    await subscribe(bob);
    await sessions.removeSubscriptions(SID, { principal: 'ann' });
    await vi.waitFor(() => expect(ann.last('unsubscribed')).toMatchObject({ session_id: SID, reason: 'removed' }));
    await vi.waitFor(() => expect(bob.last('ownership').state).toBe('free'));
    expect(sessions.subscriptionCount(ann)).toBe(0);
    await sessions.removeSubscriptions(SID, {});
    await vi.waitFor(() => expect(bob.last('unsubscribed').reason).toBe('removed'));
  });

  it('keeps the lease while the connection lives', async () => {
    // A machine that is busy renews late.
    const graceMs = 400;
    const { sessions: patient } = startDomain({ graceMs });
    await patient.subscribe(ann, { session_id: SID }, undefined);
    const { owner_epoch } = ann.last('subscribe_ack');
    await sleep(2 * leaseMsOf(graceMs));
    expect(await patient.inspect(SID)).toMatchObject({ state: 'owned', owner_epoch });
    expect(ann.of('ownership_lost')).toEqual([]);
    await patient.close();
  });

  it('holds a session whose connection closed while it was being claimed', async () => {
    const claim = domain.store.claim.bind(domain.store);
    vi.spyOn(domain.store, 'claim').mockImplementation(async (request) => {
      const outcome = await claim(request);
      ann.open = false;
      void sessions.closed(ann, { release: false });
      return outcome;
    });
    await subscribe(ann);
    await vi.waitFor(async () => expect((await sessions.inspect(SID)).state).toBe('held'));
  });
});

describe('the policy oldest_watcher', () => {
  it('hands a released session to the oldest watcher, with a token', async () => {
    const { sessions } = startDomain({ policy: 'oldest_watcher' });
    const [owner, second, third] = ['a', 'b', 'c'].map((name) => new FakeSubscriber(name)) as [
      FakeSubscriber,
      FakeSubscriber,
      FakeSubscriber,
    ];
    for (const who of [owner, second, third]) await sessions.subscribe(who, { session_id: SID }, undefined);
    await sessions.release(owner, SID);
    await vi.waitFor(() => expect(second.last('ownership')).toMatchObject({ owner: true, reason: 'handed_over' }));
    expect(second.last('ownership').reconnect_token).toBeDefined();
    expect(third.of('ownership').some(({ owner: isOwner }) => isOwner)).toBe(false);
    await sessions.close();
  });
});

describe('the policy explicit_claim', () => {
  it('makes nobody the owner who does not ask', async () => {
    const { sessions } = startDomain({ policy: 'explicit_claim' });
    const one = new FakeSubscriber('a');
    await sessions.subscribe(one, { session_id: SID }, undefined);
    expect(one.last('subscribe_ack')).toMatchObject({ owner: false, state: 'free' });
    await sessions.claim(one, { session_id: SID }, undefined);
    expect(one.last('claim_ack').owner).toBe(true);
    await sessions.close();
  });
});
