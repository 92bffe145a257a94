import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClaimOutcome, OwnershipEvent } from '../../src/session/ports.js';
import { FakeSubscriber } from './domain-harness.js';
import { codeOf, holdCall, isHandover, loseReply, SID, startWatched, type Watched } from './interleaving.js';

let domain: Watched;
let ann: FakeSubscriber;
let bob: FakeSubscriber;
let cid: FakeSubscriber;

beforeEach(() => {
  domain = startWatched({ policy: 'oldest_watcher', graceMs: 1_500 });
  ann = new FakeSubscriber('ann');
  bob = new FakeSubscriber('bob');
  cid = new FakeSubscriber('cid');
});
afterEach(() => domain.sessions.close());

const owner = async () => (await domain.store.read(SID)).connectionId;

/** Repeats the owner's event as a newer one: only a token that is still promised would go with it. */
async function repeatEvent(who: FakeSubscriber, requestId: string): Promise<void> {
  const view = await domain.store.read(SID);
  const { rev } = who.last('ownership');
  const event = { kind: 'ownership', sessionId: SID, previousConnectionId: '', requestId, reason: 'resynced' } as const;
  domain.hear({ ...event, ...view, rev: rev + 1 } satisfies OwnershipEvent);
  expect(who.last('ownership')).toMatchObject({ rev: rev + 1, owner: true });
}

describe('a change of owner whose reply is lost', () => {
  it('still gives the watcher a lease when the session is handed over', async () => {
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    const claim = vi.spyOn(domain.store, 'claim');
    loseReply(domain.store, 'claim', isHandover);
    await domain.sessions.release(ann, SID);
    await vi.waitFor(() => expect(bob.last('ownership')).toMatchObject({ owner: true, reason: 'handed_over' }));
    expect(bob.last('ownership').reconnect_token).toBeDefined();
    await vi.waitFor(() => expect(domain.load().leases).toBe(1));
    const requestIds = new Set(claim.mock.calls.map(([{ requestId }]) => requestId));
    expect([claim.mock.calls.length, requestIds.size]).toEqual([2, 1]);
    const [requestId = ''] = requestIds;
    await repeatEvent(bob, requestId);
    expect(bob.last('ownership')).not.toHaveProperty('reconnect_token');
    expect(await codeOf(domain.sessions.release(bob, SID))).toBe('ok');
  });

  it('still gives the target a lease when the application gives the session', async () => {
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    const transfer = vi.spyOn(domain.store, 'transfer');
    loseReply(domain.store, 'transfer');
    await domain.sessions.giveOwner(SID, { connection_id: bob.id });
    await vi.waitFor(() => expect(transfer).toHaveBeenCalledTimes(2));
    await vi.waitFor(() => expect(domain.load().leases).toBe(1));
    await repeatEvent(bob, transfer.mock.calls[0]?.[0].requestId ?? '');
    expect(bob.last('ownership')).not.toHaveProperty('reconnect_token');
    expect(bob.of('ownership')[0]?.reconnect_token).toBeDefined();
    expect(await codeOf(domain.sessions.release(bob, SID))).toBe('ok');
  });
});

it("leaves the token of a watcher's own claim good, should the handover come after it", async () => {
  await domain.subscribe(ann);
  await domain.subscribe(bob);
  const handover = holdCall(domain.store, 'claim', isHandover);
  await domain.sessions.release(ann, SID);
  await handover.reached;
  await domain.sessions.claim(bob, { session_id: SID }, 'c');
  const { reconnect_token: token } = bob.last('claim_ack');
  handover.go();
  await sleep(10);
  await domain.drop(bob);
  const back = new FakeSubscriber('bob');
  await domain.subscribe(back, { reconnect_token: token });
  expect(back.last('subscribe_ack')).toMatchObject({ owner: true, token_status: 'accepted' });
});

it('comes to a subscriber that an older watcher was preferred to, when that one does not come', async () => {
  await domain.subscribe(ann);
  await domain.store.read(SID, { connectionId: 'c_of_a_dead_node', nodeId: 'n9', bootId: 'b9' });
  await domain.sessions.unsubscribe(ann, SID);
  await domain.subscribe(cid);
  expect(cid.last('subscribe_ack')).toMatchObject({ owner: false, state: 'free' });
  await vi.waitFor(() => expect(cid.last('ownership')).toMatchObject({ owner: true, reason: 'handed_over' }));
  expect(await codeOf(domain.sessions.release(cid, SID))).toBe('ok');
});

it('goes round the watchers, each time to the oldest and at the first try', async () => {
  for (const who of [ann, bob, cid]) await domain.subscribe(who);
  const outcomes = vi.spyOn(domain.store, 'claim');
  for (const [from, to] of [
    [ann, bob],
    [bob, cid],
    [cid, ann],
  ] as const) {
    await domain.sessions.release(from, SID);
    await vi.waitFor(() => expect(to.last('ownership')).toMatchObject({ owner: true }));
    expect(await owner()).toBe(to.id);
  }
  const results = outcomes.mock.settledResults.map(({ value }) => (value as ClaimOutcome).result);
  expect(results).toEqual(['owned', 'owned', 'owned']);
});

it('passes over who closed before its subscription was answered', async () => {
  await domain.subscribe(ann);
  const claim = holdCall(domain.store, 'claim');
  const subscribed = domain.subscribe(bob);
  await claim.reached;
  await domain.drop(bob);
  claim.go();
  await subscribed;
  await domain.subscribe(cid);
  const outcomes = vi.spyOn(domain.store, 'claim');
  await domain.sessions.release(ann, SID);
  await vi.waitFor(() => expect(cid.last('ownership')).toMatchObject({ owner: true }));
  expect(outcomes).toHaveBeenCalledOnce();
});
