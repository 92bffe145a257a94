import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, FakeApplication } from './conversation-harness.js';
import { say, startDomain } from './domain-harness.js';

const S = 'doc:1';

let close: (() => Promise<void>) | undefined;
afterEach(() => close?.());

function start() {
  const application = new FakeApplication();
  const domain = startDomain({ graceMs: 5_000, application, settings: { asks: { authorize: true, message: false } } });
  close = () => domain.sessions.close();
  return { ...domain, application };
}

describe('a session whose rights the application gives', () => {
  it('is owned, watched or closed to who comes, as it says', async () => {
    const { sessions, application } = start();
    const [alice, bob, carol] = [connect('alice'), connect('bob'), connect('carol')];
    application.allow = ['watch', 'own', 'send'];
    await sessions.subscribe(alice, { session_id: S }, undefined);
    application.allow = ['watch'];
    await sessions.subscribe(bob, { session_id: S }, undefined);
    application.allow = [];
    await expect(sessions.subscribe(carol, { session_id: S }, undefined)).rejects.toMatchObject({ code: 'forbidden' });
    await say(sessions, alice, { type: 'send', session_id: S, data: 'hi' });
    await expect(sessions.claim(bob, { session_id: S }, undefined)).rejects.toMatchObject({ code: 'forbidden' });
    await expect.poll(() => bob.of('message')).toMatchObject([{ offset: 1, data: 'hi' }]);
    expect([alice.last('subscribe_ack').owner, bob.last('subscribe_ack').owner]).toEqual([true, false]);
    expect(application.asked.map(({ principal }) => principal)).toEqual(['alice', 'bob', 'carol']);
  });

  it('goes to the first that is asked about, and keeps no other waiting', async () => {
    const { sessions, application } = start();
    const [alice, bob, carol] = [connect('alice'), connect('bob'), connect('carol')];
    let answerAlice = () => {};
    const slowly = new Promise<void>((resolve) => {
      answerAlice = resolve;
    });
    application.authorize = async ({ principal }) => {
      if (principal === 'alice') await slowly;
      return { allow: principal === 'carol' ? ['watch'] : ['watch', 'own'], ttlMs: 30_000 };
    };
    const first = sessions.subscribe(alice, { session_id: S }, undefined);
    await sleep(20);
    const second = sessions.subscribe(bob, { session_id: S }, undefined);
    await sessions.subscribe(carol, { session_id: S }, undefined);
    expect(carol.last('subscribe_ack').state).toBe('free');
    answerAlice();
    await Promise.all([first, second]);
    expect([alice, bob].map((subscriber) => subscriber.last('subscribe_ack').owner)).toEqual([true, false]);
  });

  it('is free again when its owner loses the right, and closed to who may not watch any more', async () => {
    const { sessions, application } = start();
    const alice = connect('alice');
    application.allow = ['watch', 'own'];
    application.ttlMs = 1_000;
    await sessions.subscribe(alice, { session_id: S }, undefined);
    application.allow = ['watch'];
    await expect.poll(() => alice.of('ownership_lost'), { timeout: 5_000 }).toMatchObject([{ reason: 'revoked' }]);
    await expect.poll(() => sessions.inspect(S)).toMatchObject({ state: 'free' });
    expect(alice.of('unsubscribed')).toEqual([]);
    application.allow = [];
    await expect
      .poll(() => alice.of('unsubscribed'), { timeout: 5_000 })
      .toMatchObject([{ session_id: S, reason: 'forbidden' }]);
    expect(sessions.subscriptionCount(alice)).toBe(0);
  });

  it('is not to be had while the application is away, and costs nobody who has it', async () => {
    const { sessions, application } = start();
    const [alice, bob] = [connect('alice'), connect('bob')];
    application.allow = ['watch', 'own', 'send'];
    application.ttlMs = 500;
    await sessions.subscribe(alice, { session_id: S }, undefined);
    const { before } = application;
    application.before = () => Promise.reject(new Error('away'));
    await expect(sessions.subscribe(bob, { session_id: S }, undefined)).rejects.toThrow('away');
    expect(sessions.subscriptionCount(bob)).toBe(0);
    await expect.poll(() => application.asked.length, { timeout: 5_000 }).toBeGreaterThan(2);
    await say(sessions, alice, { type: 'send', session_id: S, data: 1 });
    application.before = before;
    await sessions.subscribe(bob, { session_id: S }, undefined);
    expect(bob.last('subscribe_ack').state).toBe('owned');
  });
});
