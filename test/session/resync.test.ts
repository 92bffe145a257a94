import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ClaimRequest, SessionEvent, SessionView } from '../../src/session/ports.js';
import { FakeSubscriber } from './domain-harness.js';
import { holdReply, SID, startWatched, type Watched } from './interleaving.js';

let domain: Watched;
let watcher: FakeSubscriber;

beforeEach(async () => {
  domain = startWatched();
  watcher = new FakeSubscriber('watcher');
  await domain.subscribe(watcher, { claim: 'never' });
});
afterEach(() => domain.sessions.close());

/** A claim by a connection of another node. */
async function claimElsewhere(connectionId: string): Promise<SessionView> {
  const request: ClaimRequest = {
    mode: 'claim',
    sessionId: SID,
    requestId: crypto.randomUUID(),
    connectionId,
    nodeId: 'n2',
    bootId: 'b2',
    principal: 'else',
    principalRule: 'exact',
    tokenHash: 'h',
    attemptHash: '',
    policy: 'next_subscriber',
    leaseMs: 60_000,
    lockValue: '',
  };
  return (await domain.store.claim(request)).view;
}

async function releaseElsewhere({ connectionId, epoch }: SessionView): Promise<void> {
  const ref = { sessionId: SID, connectionId, epoch, requestId: crypto.randomUUID() };
  await domain.store.release({ ...ref, reason: 'released', policy: 'next_subscriber', staysWatching: true });
}

/** As many passes as asked, one after the other. */
async function compare(passes: number): Promise<void> {
  for (let pass = 0; pass < passes; pass++) {
    const peek = holdReply(domain.store, 'peek');
    domain.gap();
    await peek.reached;
    peek.go();
    await new Promise(setImmediate);
  }
}

const told = () => watcher.of('ownership').map(({ state, reason }) => `${state} ${reason}`);

describe('a comparison with the store', () => {
  it('is ignored where something was heard meanwhile', async () => {
    const peek = holdReply(domain.store, 'peek');
    domain.gap();
    await peek.reached;
    const { epoch, rev } = await claimElsewhere('c_else');
    await vi.waitFor(() => expect(told()).toEqual(['owned claimed']));
    peek.go();
    await compare(2);
    expect(told()).toEqual(['owned claimed']);
    expect(watcher.last('ownership')).toMatchObject({ owner_epoch: epoch, rev });
  });

  it('tells of what was missed', async () => {
    await claimElsewhere('c_else');
    await vi.waitFor(() => expect(told()).toEqual(['owned claimed']));
    const publish = vi.spyOn(domain.bus, 'publish').mockResolvedValue();
    await releaseElsewhere(await domain.store.read(SID));
    publish.mockRestore();
    await compare(2);
    expect(told()).toEqual(['owned claimed', 'free resynced']);
  });

  it('tells of a new epoch of the same owner', async () => {
    const first = await claimElsewhere('c_else');
    await vi.waitFor(() => expect(told()).toEqual(['owned claimed']));
    const publish = vi.spyOn(domain.bus, 'publish').mockResolvedValue();
    await releaseElsewhere(first);
    const { epoch } = await claimElsewhere('c_else');
    publish.mockRestore();
    await compare(2);
    expect(told()).toEqual(['owned claimed', 'owned resynced']);
    expect(watcher.last('ownership').owner_epoch).toBe(epoch);
  });

  it('tells once that the store has lost the record', async () => {
    const before = await domain.store.read(SID);
    await claimElsewhere('c_else');
    await vi.waitFor(() => expect(told()).toEqual(['owned claimed']));
    domain.store.peek = async () => [before];
    await compare(4);
    expect(before.epoch).toBe(0);
    expect(told()).toEqual(['owned claimed', 'free lost']);
  });

  it('leaves a session of an owner of this node to its lease', async () => {
    const before = await domain.store.read(SID);
    const ann = new FakeSubscriber('ann');
    await domain.subscribe(ann);
    await vi.waitFor(() => expect(told()).toEqual(['owned claimed']));
    domain.store.peek = async () => [before];
    await compare(2);
    expect(told()).toEqual(['owned claimed']);
    expect(ann.of('ownership_lost')).toEqual([]);
    expect(domain.load().leases).toBe(1);
  });

  it('tells the owner here and the watchers at once when a renewal finds that the store has gone back', async () => {
    const ann = new FakeSubscriber('ann');
    await domain.subscribe(ann);
    const { owner_epoch: epoch } = ann.last('subscribe_ack');
    const freed = { ...(await domain.store.read(SID)), state: 'free', connectionId: '', epoch: epoch - 1 } as const;
    domain.store.peek = async () => [freed];
    domain.store.renew = async (leases) => leases.map(() => 'lost');
    await vi.waitFor(() => expect(told()).toEqual(['owned claimed', 'free resynced']));
    expect(ann.frames.slice(-2)).toMatchObject([
      { type: 'ownership_lost', reason: 'resynced', owner_epoch: epoch },
      { type: 'ownership', state: 'free' },
    ]);
  });

  it('tells once that the store has gone back, and then of what is new there', async () => {
    const first = await claimElsewhere('c_first');
    await releaseElsewhere(first);
    const freed = await domain.store.read(SID);
    const second = await claimElsewhere('c_second');
    await vi.waitFor(() => expect(told()).toHaveLength(3));
    const { peek } = domain.store;
    domain.store.peek = async () => [freed];
    await compare(4);
    domain.store.peek = peek;
    expect(told().slice(3)).toEqual(['free resynced']);
    expect(watcher.last('ownership')).toMatchObject({ owner_epoch: second.epoch, rev: second.rev + 1 });
    await releaseElsewhere(second);
    const third = await claimElsewhere('c_third');
    await vi.waitFor(() => expect(watcher.last('ownership').owner_epoch).toBe(third.epoch));
    expect(watcher.last('ownership').state).toBe('owned');
  });
});

it('leaves alone what it hears of a kind that it does not know', async () => {
  const ann = new FakeSubscriber('ann');
  await domain.subscribe(ann);
  const frames = [ann.frames.length, watcher.frames.length];
  const notice = { kind: 'presence_check', sessionId: SID } as unknown as SessionEvent;
  expect(() => domain.hear(notice)).not.toThrow();
  expect(() => domain.hear({ ...notice, target: {} } as unknown as SessionEvent)).not.toThrow();
  expect([ann.frames.length, watcher.frames.length]).toEqual(frames);
  expect(domain.load()).toEqual({ free: 0, owned: 1, held: 0, leases: 1 });
});
