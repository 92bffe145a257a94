import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import type { HandoverPolicy } from '../../src/session/ports.js';
import { FakeSubscriber } from './domain-harness.js';
import { codeOf, failCall, holdReply, isHandover, SID, startWatched, type Watched } from './interleaving.js';

let domain: Watched;
let ann: FakeSubscriber;
let bob: FakeSubscriber;

const stateNow = async () => (await domain.store.read(SID)).state;
const becomesFree = () => vi.waitFor(async () => expect(await stateNow()).toBe('free'));

beforeEach(() => {
  domain = startWatched();
  ann = new FakeSubscriber('ann');
  bob = new FakeSubscriber('bob');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await domain.sessions.close();
});

/** With leases that outlive the test: what became free was freed. */
async function restart(policy: HandoverPolicy = 'next_subscriber') {
  await domain.sessions.close();
  domain = startWatched({ policy, graceMs: 60_000 });
}

describe('a connection that no longer follows the session keeps no lease', () => {
  it.each([
    ['unsubscribed', () => domain.sessions.unsubscribe(ann, SID)],
    ['was removed', () => domain.sessions.removeSubscriptions(SID, {})],
  ])('when it %s while its claim was under way', async (_, leave) => {
    await restart('explicit_claim');
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    const claim = holdReply(domain.store, 'claim');
    const answer = codeOf(domain.sessions.claim(ann, { session_id: SID }, 'c'));
    await claim.reached;
    await leave();
    await vi.waitFor(() => expect(domain.sessions.subscriptionCount(ann)).toBe(0));
    claim.go();
    expect(await answer).toBe('not_subscribed');
    expect(ann.of('claim_ack')).toEqual([]);
    await becomesFree();
    expect(domain.load().leases).toBe(0);
  });

  it('when it unsubscribed while the session was being handed to it', async () => {
    await restart('oldest_watcher');
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    const handover = holdReply(domain.store, 'claim', isHandover);
    await domain.sessions.unsubscribe(ann, SID);
    await handover.reached;
    await domain.sessions.unsubscribe(bob, SID);
    handover.go();
    await becomesFree();
    expect(domain.load()).toEqual({ free: 0, owned: 0, held: 0, leases: 0 });
  });

  it('when it unsubscribed while the application gave it the session', async () => {
    await restart();
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    const transfer = holdReply(domain.store, 'transfer');
    const given = domain.sessions.giveOwner(SID, { connection_id: bob.id });
    await transfer.reached;
    await domain.sessions.unsubscribe(bob, SID);
    await given;
    transfer.go();
    await vi.waitFor(() => expect(ann.last('ownership')).toMatchObject({ state: 'free', reason: 'unsubscribed' }));
    expect(domain.load().leases).toBe(0);
  });

  it('when the application gave the session back while it unsubscribed', async () => {
    await restart();
    await domain.subscribe(ann);
    const release = holdReply(domain.store, 'release');
    const unsubscribed = domain.sessions.unsubscribe(ann, SID);
    await release.reached;
    await domain.sessions.giveOwner(SID, { connection_id: ann.id });
    await vi.waitFor(() => expect(domain.load().leases).toBe(1));
    release.go();
    await unsubscribed;
    await becomesFree();
    expect(domain.load().leases).toBe(0);
  });

  it('and is not handed what it left, should the event come before the answer', async () => {
    await restart('oldest_watcher');
    await domain.subscribe(ann);
    const release = holdReply(domain.store, 'release');
    const handedOver = vi.spyOn(domain.store, 'claim');
    const unsubscribed = domain.sessions.unsubscribe(ann, SID);
    await release.reached;
    await vi.waitFor(() => expect(ann.last('ownership').state).toBe('free'));
    await sleep(20);
    release.go();
    await unsubscribed;
    expect(handedOver).not.toHaveBeenCalled();
    expect(await stateNow()).toBe('free');
  });
});

describe('a release that fails', () => {
  it.each([
    ['release', () => domain.sessions.release(ann, SID)],
    ['unsubscribe', () => domain.sessions.unsubscribe(ann, SID)],
  ])('frees the session all the same when the connection closes meanwhile (%s)', async (_, leave) => {
    await restart();
    await domain.subscribe(ann);
    const release = failCall(domain.store, 'release');
    const answer = codeOf(leave());
    await release.reached;
    ann.open = false;
    void domain.sessions.closed(ann, { release: false });
    release.go();
    expect(await answer).toBe('store_unavailable');
    expect(domain.load().leases).toBe(0);
    await becomesFree();
  });

  it('leaves the lease with a connection that is still there', async () => {
    await domain.subscribe(ann);
    const release = failCall(domain.store, 'release');
    release.go();
    expect(await codeOf(domain.sessions.unsubscribe(ann, SID))).toBe('store_unavailable');
    await sleep(250); // Longer than the lease: it goes on being renewed.
    expect(await domain.sessions.inspect(SID)).toMatchObject({ state: 'owned', connection_id: ann.id });
    expect(await codeOf(domain.sessions.release(ann, SID))).toBe('ok');
  });

  it('takes back a lease as unconfirmed when the machine slept while its release failed', async () => {
    await restart();
    await domain.subscribe(ann);
    const release = failCall(domain.store, 'release');
    const answer = codeOf(domain.sessions.release(ann, SID));
    await release.reached;
    const { wallMs } = systemClock;
    vi.spyOn(systemClock, 'wallMs').mockImplementation(() => wallMs() + 5_000);
    await domain.subscribe(bob); // Takes a stamp, which notices the jump.
    release.go();
    expect(await answer).toBe('store_unavailable');
    expect(await codeOf(domain.sessions.release(ann, SID))).toBe('ownership_unconfirmed');
  });
});

describe('a subscriber that its own acknowledgement closes', () => {
  it.each([
    ['owner', {}],
    ['watcher', { claim: 'never' }],
  ])('leaves nothing behind (%s)', async (_, extra) => {
    const unsubscribe = vi.spyOn(domain.bus, 'unsubscribe');
    const send = ann.send.bind(ann);
    ann.send = (message) => {
      send(message);
      ann.open = false;
      void domain.sessions.closed(ann, { release: false });
    };
    await domain.subscribe(ann, extra);
    expect(domain.load()).toEqual({ free: 0, owned: 0, held: 0, leases: 0 });
    expect(unsubscribe).toHaveBeenCalledExactlyOnceWith(SID);
    expect(domain.sessions.subscriptionCount(ann)).toBe(0);
    await becomesFree();
  });
});
