import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SessionSettings } from '../../src/session/session-node.js';
import { FakeClock } from '../support/fake-clock.js';
import { away, connect, startConversation } from './conversation-harness.js';
import { say } from './domain-harness.js';

const S = 'doc:1';
/** A node's own, however many answers there are. */
const TIMERS_OF_LEASES = 2;

let domain: ReturnType<typeof startConversation>;
beforeEach(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] }));
afterEach(() => {
  domain.close();
  vi.useRealTimers();
});

function start(settings: Partial<SessionSettings> = {}) {
  const clock = new FakeClock();
  domain = startConversation({ settings: { asks: { authorize: true, message: false }, ...settings }, clock });
  const { access } = domain.node;
  const lost: string[] = [];
  access.onLost = (subscriber, sessionId) => lost.push(`${subscriber.principal} ${sessionId}`);
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1_000) {
      clock.advance(1_000);
      await vi.advanceTimersByTimeAsync(1_000);
    }
  };
  return { ...domain, access, clock, lost, pass };
}

describe('rights that the application gives', () => {
  it('are added to those of the rules', async () => {
    const { access, application } = start();
    const alice = connect('alice', 'signal');
    application.allow = ['watch', 'send'];
    expect(access.allows(alice, 'watch', S)).toBe(false);
    expect(access.mightAllow(alice, 'watch', S)).toBe(true);
    await access.ensure(alice, S);
    const allowed = (['watch', 'own', 'send', 'signal', 'force'] as const).filter((right) =>
      access.allows(alice, right, S),
    );
    expect(allowed).toEqual(['watch', 'send', 'signal']);
    expect(access.mightAllow(alice, 'own', S)).toBe(false);
    expect(access.allows(alice, 'watch', 'doc:2')).toBe(false);
    expect(application.asked).toEqual([
      { sessionId: S, connectionId: alice.id, principal: 'alice', loginId: undefined },
    ]);
  });

  it('are not asked for where a rule gives them, or where it is not to be asked', async () => {
    const { access, application, settings } = start();
    const alice = connect('alice', 'watch');
    await access.ensure(alice, S);
    settings.asks = { authorize: false, message: false };
    await access.ensure(alice, S, 'own');
    expect(application.asked).toEqual([]);
    expect(access.mightAllow(alice, 'own', S)).toBe(false);
  });

  it('are asked for once by those who need them at once, and again when the answer has expired', async () => {
    const { access, application, clock } = start();
    const alice = connect('alice');
    application.allow = ['watch'];
    await Promise.all([access.ensure(alice, S), access.ensure(alice, S, 'send'), access.ensure(connect('bob'), S)]);
    expect(application.asked.map(({ principal }) => principal)).toEqual(['alice', 'bob']);
    clock.advance(29_999);
    await access.ensure(alice, S, 'own');
    expect(application.asked).toHaveLength(2);
    clock.advance(1);
    await access.ensure(alice, S, 'own');
    expect(application.asked).toHaveLength(3);
  });

  it('are not to be had at first while the application is away, and are at the next try', async () => {
    const { access, application } = start();
    const alice = connect('alice');
    application.allow = ['watch'];
    application.before = () => Promise.reject(away());
    await expect(access.ensure(alice, S)).rejects.toMatchObject({ code: 'application_unavailable' });
    application.before = async () => {};
    await access.ensure(alice, S);
    expect(access.allows(alice, 'watch', S)).toBe(true);
  });

  it('are asked for again in the background while the session is followed, and told when they are lost', async () => {
    const { access, application, follow, lost, pass } = start();
    const alice = connect('alice');
    application.allow = ['watch', 'own'];
    await follow(alice, S);
    await access.ensure(alice, S);
    await pass(31_000);
    expect(application.asked).toHaveLength(2);
    expect(lost).toEqual([]);
    application.allow = ['watch', 'send'];
    await pass(31_000);
    expect(lost).toEqual([`alice ${S}`]);
    expect(access.allows(alice, 'own', S)).toBe(false);
    expect(access.allows(alice, 'send', S)).toBe(true);
  });

  it('stay for five minutes of an outage, and no longer', async () => {
    const { access, application, follow, lost, pass } = start();
    const alice = connect('alice');
    application.allow = ['watch'];
    await follow(alice, S);
    await access.ensure(alice, S);
    application.before = () => Promise.reject(away());
    await pass(320_000);
    await access.ensure(alice, S);
    expect(access.allows(alice, 'watch', S)).toBe(true);
    expect(lost).toEqual([]);
    await pass(20_000);
    expect(lost).toEqual([`alice ${S}`]);
    expect(access.allows(alice, 'watch', S)).toBe(false);
    await expect(access.ensure(alice, S)).rejects.toMatchObject({ code: 'application_unavailable' });
  });

  it('are there again when the outage is over', async () => {
    const { access, application, follow, lost, pass } = start();
    const alice = connect('alice');
    application.allow = ['watch'];
    await follow(alice, S);
    await access.ensure(alice, S);
    application.before = () => Promise.reject(away());
    await pass(100_000);
    application.before = async () => {};
    await pass(6_000);
    const asked = application.asked.length;
    await access.ensure(alice, S);
    expect(application.asked).toHaveLength(asked);
    await pass(400_000);
    expect(lost).toEqual([]);
  });

  it('are forgotten with the connection, and with the session that it does not follow', async () => {
    const { access, application, follow, pass } = start();
    const [alice, bob] = [connect('alice'), connect('bob')];
    application.allow = ['watch'];
    await follow(alice, S);
    for (const subscriber of [alice, bob]) await access.ensure(subscriber, S);
    access.forget(alice);
    expect(access.allows(alice, 'watch', S)).toBe(false);
    await pass(60_000);
    expect(application.asked.map(({ principal }) => principal)).toEqual(['alice', 'bob']);
    expect(access.allows(bob, 'watch', S)).toBe(false);
    expect(vi.getTimerCount()).toBe(TIMERS_OF_LEASES);
  });

  it('are not kept when the connection went while they were asked for', async () => {
    const { access, application, follow } = start();
    const alice = connect('alice');
    application.allow = ['watch'];
    await follow(alice, S);
    application.before = async () => access.forget(alice);
    await access.ensure(alice, S);
    expect(access.allows(alice, 'watch', S)).toBe(false);
    expect(vi.getTimerCount()).toBe(TIMERS_OF_LEASES);
  });

  it('are kept of few sessions that the connection does not follow', async () => {
    const { access, application, follow } = start();
    const alice = connect('alice');
    application.allow = ['watch'];
    await follow(alice, S);
    await access.ensure(alice, S);
    for (let index = 0; index < 100; index++) await access.ensure(alice, `other:${index}`);
    const kept = Array.from({ length: 100 }, (_, index) => `other:${index}`).filter((id) =>
      access.allows(alice, 'watch', id),
    );
    expect(kept).toEqual(Array.from({ length: 16 }, (_, index) => `other:${index + 84}`));
    expect(access.allows(alice, 'watch', S)).toBe(true);
  });

  it('are asked for again by 16 at once', async () => {
    const { access, application, follow, pass } = start();
    const subscribers = Array.from({ length: 40 }, (_, index) => connect(`p${index}`));
    for (const subscriber of subscribers) {
      await follow(subscriber, S);
      await access.ensure(subscriber, S);
    }
    const answers: (() => void)[] = [];
    application.before = () => new Promise((resolve) => answers.push(resolve));
    await pass(32_000);
    expect(answers).toHaveLength(16);
    answers.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(answers).toHaveLength(16);
    expect(application.asked).toHaveLength(57);
  });

  it('are asked for before a send or a signal that no rule allows', async () => {
    const { conversation, application, follow } = start();
    const bob = connect('bob', 'watch');
    await follow(bob, S);
    application.allow = ['signal'];
    await conversation.signal(bob, { type: 'signal', session_id: S, data: 1 });
    expect(bob.of('signal_ack')).toHaveLength(1);
    const message = { type: 'send', session_id: S, data: 1 } as const;
    await expect(say(conversation, bob, message)).rejects.toMatchObject({ code: 'forbidden' });
    expect(application.asked).toHaveLength(1);
  });
});
