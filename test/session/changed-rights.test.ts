import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HandoverPolicy } from '../../src/session/ports.js';
import { type Right, rightsOf } from '../../src/session/rights.js';
import { FakeSubscriber } from './domain-harness.js';
import { codeOf, holdReply, SID, startWatched, type Watched } from './interleaving.js';

let domain: Watched;
let ann: FakeSubscriber;
let bob: FakeSubscriber;

const only = (...allow: Right[]) => rightsOf('ann', [{ sessions: SID, allow }], []);
const stateNow = async () => (await domain.store.read(SID)).state;

/** With leases that outlive the test: what became free was freed. */
function start(policy: HandoverPolicy = 'next_subscriber') {
  domain = startWatched({ policy, graceMs: 60_000 });
}

beforeEach(() => {
  start();
  ann = new FakeSubscriber('ann');
  bob = new FakeSubscriber('bob');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await domain.sessions.close();
});

describe('a connection whose rights have changed', () => {
  it('loses the subscription without `watch`, and what it owned becomes free', async () => {
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    ann.rights = only();
    domain.sessions.recheckRights(ann);
    expect(ann.frames.at(-1)).toEqual({ type: 'unsubscribed', session_id: SID, reason: 'forbidden' });
    expect(domain.sessions.subscriptionCount(ann)).toBe(0);
    await vi.waitFor(() => expect(bob.last('ownership')).toMatchObject({ state: 'free', reason: 'revoked' }));
    expect(ann.of('ownership').filter(({ state }) => state === 'free')).toEqual([]);
    expect(domain.load().leases).toBe(0);
  });

  it('loses the session without `own`, and goes on watching', async () => {
    await domain.subscribe(ann);
    const { owner_epoch } = ann.last('subscribe_ack');
    ann.rights = only('watch');
    domain.sessions.recheckRights(ann);
    expect(ann.last('ownership_lost')).toEqual({
      type: 'ownership_lost',
      session_id: SID,
      reason: 'revoked',
      owner_epoch,
    });
    await vi.waitFor(() => expect(ann.last('ownership')).toMatchObject({ state: 'free', reason: 'revoked' }));
    expect(await codeOf(domain.sessions.claim(ann, { session_id: SID }, 'c'))).toBe('forbidden');
    expect(domain.sessions.subscriptionCount(ann)).toBe(1);
  });

  it('keeps what it still may', async () => {
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    const frames = [ann.frames.length, bob.frames.length];
    ann.rights = only('watch', 'own');
    bob.rights = only('watch');
    domain.sessions.recheckRights(ann);
    domain.sessions.recheckRights(bob);
    await sleep(20);
    expect([ann.frames.length, bob.frames.length]).toEqual(frames);
    expect(await stateNow()).toBe('owned');
  });

  it.each([
    ['watch', [], 0],
    ['own', ['watch'], 1],
  ] as [string, Right[], number][])(
    'without `%s` since it asked to subscribe does not stay the owner',
    async (_, allow, count) => {
      const claim = holdReply(domain.store, 'claim');
      const answer = codeOf(domain.subscribe(ann));
      await claim.reached;
      ann.rights = only(...allow);
      domain.sessions.recheckRights(ann);
      claim.go();
      expect(await answer).toBe('ok');
      await vi.waitFor(async () => expect(await stateNow()).toBe('free'));
      expect([domain.sessions.subscriptionCount(ann), domain.load().leases]).toEqual([count, 0]);
      // Nothing of the session precedes its acknowledgement.
      expect(ann.frames[0]?.type).toMatch(/subscribe_ack|^ownership$/);
      expect(ann.of('unsubscribed')).toHaveLength(1 - count);
    },
  );

  it('without `own` since it claimed does not stay the owner', async () => {
    await domain.sessions.close();
    start('explicit_claim');
    await domain.subscribe(ann);
    const claim = holdReply(domain.store, 'claim');
    const answer = codeOf(domain.sessions.claim(ann, { session_id: SID }, 'c'));
    await claim.reached;
    ann.rights = only('watch');
    domain.sessions.recheckRights(ann);
    claim.go();
    expect(await answer).toBe('ok');
    await vi.waitFor(async () => expect(await stateNow()).toBe('free'));
    expect(ann.last('ownership_lost')).toMatchObject({ reason: 'revoked' });
  });
});

describe('what a revoked login owned', () => {
  const ownedBy = (who: FakeSubscriber) => ({
    sessionId: SID,
    connectionId: who.id,
    epoch: who.last('subscribe_ack').owner_epoch,
  });

  it('is told when it is granted', async () => {
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    expect(domain.granted).toEqual([[ann, ownedBy(ann)]]);
  });

  it.each(['owned', 'held'])('is freed while it is %s', async (state) => {
    await domain.subscribe(ann);
    await domain.subscribe(bob);
    if (state === 'held') {
      ann.open = false;
      await domain.sessions.closed(ann, { release: false });
    }
    expect(await stateNow()).toBe(state);
    await domain.sessions.releaseOwned([ownedBy(ann)]);
    expect(await stateNow()).toBe('free');
    await vi.waitFor(() => expect(bob.last('ownership')).toMatchObject({ state: 'free', reason: 'revoked' }));
    expect(domain.load().leases).toBe(0);
  });

  it('is left alone at another epoch or connection', async () => {
    await domain.subscribe(ann);
    const { epoch, ...rest } = ownedBy(ann);
    await domain.sessions.releaseOwned([
      { ...rest, epoch: epoch - 1 },
      { ...ownedBy(ann), connectionId: bob.id },
    ]);
    expect(await stateNow()).toBe('owned');
  });

  it('is freed also when it was granted after the connection was closed', async () => {
    const claim = holdReply(domain.store, 'claim');
    const answer = codeOf(domain.subscribe(ann));
    await claim.reached;
    ann.open = false;
    await domain.sessions.closed(ann, { release: true });
    claim.go();
    await answer;
    await vi.waitFor(async () => expect(await stateNow()).toBe('free'));
  });
});
