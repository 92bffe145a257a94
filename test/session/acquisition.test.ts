import { afterEach, describe, expect, it, vi } from 'vitest';
import { acquire, type Wish } from '../../src/session/acquisition.js';
import { away, connect, type FakeSubscriber, startConversation } from './conversation-harness.js';

const S = 'doc:1';
type Domain = ReturnType<typeof startConversation>;

let domain: Domain;
function start() {
  domain = startConversation({ settings: { asks: { authorize: true, message: false } } });
  return domain;
}
afterEach(() => domain.close());

describe('a claim that the application decides', () => {
  const wishOf = (subscriber: FakeSubscriber, more: Partial<Wish> = {}): Wish => ({
    subscriber,
    sessionId: S,
    mode: 'claim',
    attemptId: undefined,
    ...more,
  });

  /** Has the lock been taken while `work` ran? */
  async function locked(lock: Domain['lock'], application: Domain['application'], work: () => Promise<unknown>) {
    let taken: boolean | undefined;
    application.before = async () => {
      taken = lock.holder(S) !== '';
    };
    await work();
    return taken;
  }

  it('holds the lock while it asks, so that others wait, and is not asked for twice', async () => {
    const { node, lock, application } = start();
    const [alice, bob] = [connect('alice', 'watch'), connect('bob', 'watch', 'own')];
    application.allow = ['own'];
    let answer = () => {};
    application.before = () => new Promise((resolve) => (answer = resolve));
    const first = acquire(node, wishOf(alice));
    await vi.waitFor(() => expect(application.asked).toHaveLength(1));
    expect(lock.holder(S)).not.toBe('');
    const second = acquire(node, wishOf(bob));
    await new Promise((resolve) => setTimeout(resolve, 60));
    answer();
    expect((await first).outcome).toMatchObject({ result: 'owned', view: { principal: 'alice' } });
    expect((await second).outcome).toMatchObject({ result: 'unclaimed', view: { principal: 'alice' } });
    expect(lock.holder(S)).toBe('');
    expect(await locked(lock, application, () => acquire(node, wishOf(alice)))).toBeUndefined();
    expect(application.asked).toHaveLength(1);
  });

  it('never takes the lock where a rule allows it', async () => {
    const { node, lock, application } = start();
    await lock.withLock('elsewhere', 0, async () => {
      const taken = vi.spyOn(lock, 'withLock');
      await acquire(node, wishOf(connect('alice', 'watch', 'own')));
      expect(taken).not.toHaveBeenCalled();
    });
    expect(application.asked).toEqual([]);
  });

  it('is refused, and makes a subscription a watcher', async () => {
    const { node, store, application } = start();
    const alice = connect('alice', 'watch');
    await expect(acquire(node, wishOf(alice))).rejects.toMatchObject({ code: 'forbidden' });
    const { outcome } = await acquire(node, wishOf(alice, { mode: 'subscribe' }));
    expect(outcome).toMatchObject({ result: 'unclaimed', view: { state: 'free' }, stream: { top: 0 } });
    expect(await store.read(S)).toMatchObject({ state: 'free', epoch: 0 });
    application.before = () => Promise.reject(away());
    const later = acquire(node, wishOf(connect('bob', 'watch'), { mode: 'subscribe' }));
    await expect(later).rejects.toMatchObject({ code: 'application_unavailable' });
  });

  it('does not keep others waiting where the session has an owner', async () => {
    const { node, own, lock, application } = start();
    await own(connect('owner', 'watch', 'own'), S);
    application.allow = ['own'];
    const bob = connect('bob', 'watch');
    let outcome: Awaited<ReturnType<typeof acquire>>['outcome'] | undefined;
    const taken = await locked(lock, application, async () => {
      ({ outcome } = await acquire(node, wishOf(bob, { mode: 'subscribe' })));
    });
    expect(taken).toBe(false);
    expect(outcome).toMatchObject({ result: 'unclaimed', view: { principal: 'owner' } });
  });

  it('asks for a session that is taken back by token too', async () => {
    const { node, follow, lock, application, store } = start();
    const alice = connect('alice', 'watch', 'own');
    const wish = wishOf(alice);
    await follow(alice, S);
    const { outcome, token, stamp, requestId } = await acquire(node, wish);
    node.grant(alice, S, { ...outcome, stamp, reason: 'claimed', requestId });
    const again = connect('alice', 'watch');
    const reclaim = wishOf(again, { mode: 'subscribe', presentedToken: token, claimIfExpired: true });
    const refused = acquire(node, reclaim);
    await expect(refused).rejects.toMatchObject({ code: 'forbidden' });
    expect(await store.read(S)).toMatchObject({ state: 'owned', connectionId: alice.id });
    const third = connect('alice', 'watch');
    application.allow = ['own'];
    const taken = await locked(lock, application, async () => {
      expect((await acquire(node, { ...reclaim, subscriber: third })).outcome.result).toBe('owned');
    });
    expect(taken).toBe(true);
  });
});
