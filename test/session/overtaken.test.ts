import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeSubscriber } from './domain-harness.js';
import { codeOf, holdReply, SID, startWatched, type Watched } from './interleaving.js';

let domain: Watched;

beforeEach(() => {
  domain = startWatched({ graceMs: 60_000 });
});
afterEach(() => domain.sessions.close());

describe('a grant that the application took back before its reply came', () => {
  it('ends the acknowledged subscription as a watcher of a free session', async () => {
    const ann = new FakeSubscriber('ann');
    const claim = holdReply(domain.store, 'claim');
    const subscribed = domain.subscribe(ann);
    await claim.reached;
    await domain.sessions.removeOwner(SID);
    await new Promise(setImmediate);
    claim.go();
    await subscribed;
    const { owner_epoch: epoch } = ann.last('subscribe_ack');
    expect(ann.frames.slice(-3)).toMatchObject([
      { type: 'subscribe_ack' },
      { type: 'ownership_lost', owner_epoch: epoch },
      { type: 'ownership', state: 'free', owner_epoch: epoch },
    ]);
    expect(ann.last('ownership')).not.toHaveProperty('owner');
    expect(domain.load()).toEqual({ free: 1, owned: 0, held: 0, leases: 0 });
    expect(await codeOf(domain.sessions.release(ann, SID))).toBe('not_owner');
  });

  it('ends the acknowledged claim the same way', async () => {
    const ann = new FakeSubscriber('ann');
    await domain.subscribe(ann, { claim: 'never' });
    const claim = holdReply(domain.store, 'claim');
    const claimed = domain.sessions.claim(ann, { session_id: SID }, 'c');
    await claim.reached;
    await domain.sessions.removeOwner(SID);
    await new Promise(setImmediate);
    claim.go();
    await claimed;
    const { owner_epoch: epoch } = ann.last('claim_ack');
    expect(ann.frames.slice(-3)).toMatchObject([
      { type: 'claim_ack' },
      { type: 'ownership_lost', owner_epoch: epoch },
      { type: 'ownership', state: 'free', owner_epoch: epoch },
    ]);
    expect(domain.load().leases).toBe(0);
    expect(await codeOf(domain.sessions.release(ann, SID))).toBe('not_owner');
  });
});

describe('the principal of an anonymous connection', () => {
  const connect = (name: string) => new FakeSubscriber(`anon:${name}`, true);

  it('stays what the token restored when an earlier claim is answered later', async () => {
    const old = connect('old');
    await domain.subscribe(old);
    const { reconnect_token: token = '' } = old.last('subscribe_ack');
    await domain.drop(old);
    const back = connect('new');
    const claim = holdReply(domain.store, 'claim');
    const elsewhere = domain.sessions.subscribe(back, { session_id: 'doc:2' }, 'r');
    await claim.reached;
    await domain.subscribe(back, { reconnect_token: token });
    expect(back.principal).toBe('anon:old');
    claim.go();
    await elsewhere;
    expect(back.principal).toBe('anon:old');
  });

  it('is that of the first token when a connection presents two at once', async () => {
    const [one, two, back] = [connect('one'), connect('two'), connect('new')];
    await domain.sessions.subscribe(one, { session_id: 'doc:1' }, 'r');
    await domain.sessions.subscribe(two, { session_id: 'doc:2' }, 'r');
    const tokens = [one, two].map((who) => who.last('subscribe_ack').reconnect_token ?? '');
    const reclaims = ['doc:1', 'doc:2'].map((session_id, index) =>
      domain.sessions.subscribe(back, { session_id, reconnect_token: tokens[index] ?? '' }, 'r'),
    );
    await Promise.all(reclaims);
    expect(back.of('subscribe_ack').map(({ token_status }) => token_status)).toEqual(['accepted', 'accepted']);
    expect(back.principal).toBe('anon:one');
  });

  it('is restored by the first accepted token, whatever was claimed before and with which expired token', async () => {
    const old = connect('old');
    await domain.subscribe(old);
    await domain.sessions.subscribe(old, { session_id: 'doc:2' }, 'r');
    const [expired, current] = old.of('subscribe_ack').map(({ reconnect_token: token = '' }) => token);
    await domain.sessions.removeOwner(SID);
    const back = connect('new');
    await domain.sessions.subscribe(back, { session_id: 'doc:3' }, 'r');
    await domain.subscribe(back, { reconnect_token: expired });
    expect(back.of('subscribe_ack').map(({ owner }) => owner)).toEqual([true, true]);
    expect(back.last('subscribe_ack').token_status).toBe('expired');
    expect(back.principal).toBe('anon:new');
    await domain.sessions.subscribe(back, { session_id: 'doc:2', reconnect_token: current ?? '' }, 'r');
    expect(back.last('subscribe_ack').token_status).toBe('accepted');
    expect(back.principal).toBe('anon:old');
  });
});
