import { describe, expect, it } from 'vitest';
import { begin, connect, gateway, joined, pass } from './testing-harness.js';

const ID = 'doc:1';

describe('a session of the fake gateway', () => {
  it('is taken over by somebody else, who keeps it until it is removed', async () => {
    const [session] = await joined(ID);
    gateway.takeOver(ID, 'bob');
    await pass();
    expect(session.state).toMatchObject({ name: 'watching', ownership: { state: 'owned' } });
    expect(gateway.session(ID)).toMatchObject({ state: 'owned', principal: 'bob' });
    await expect(session.claim()).rejects.toMatchObject({ code: 'session_owned' });
    expect(await session.signal('hello')).toEqual({ owner: true });
    gateway.removeOwner(ID);
    await session.claim();
    expect(gateway.session(ID).ownerId).toBe(gateway.connections[0]?.id);
  });

  it('goes to a watcher that did not ask, with a token that takes it back', async () => {
    const [owner] = await joined(ID);
    const [watcher] = await joined(ID);
    const [, second] = gateway.connections;
    if (second === undefined) throw new Error('two connected');
    gateway.giveTo(ID, second);
    const { ownerEpoch } = gateway.session(ID);
    gateway.giveTo(ID, second);
    expect(gateway.session(ID).ownerEpoch).toBe(ownerEpoch);
    await pass();
    expect([owner.state.name, watcher.state.name]).toEqual(['watching', 'owner']);
    gateway.drop(second);
    await pass(100);
    expect(watcher.state.name).toBe('owner');
  });

  it('is held for its owner until the grace period ends, by itself or by the script', async () => {
    begin({ graceMs: 5_000 });
    const [, client] = await joined(ID);
    const [watcher] = await joined(ID);
    const reasons: string[] = [];
    watcher.on('ownership', ({ reason }) => reasons.push(reason));
    client.pause();
    await pass(4_999);
    expect(watcher.state).toMatchObject({ name: 'held_by_other', ownership: { graceMs: 5_000 } });
    await pass(1);
    expect(gateway.session(ID).state).toBe('free');
    client.resume();
    await pass();
    client.pause();
    await pass();
    gateway.expireGrace(ID);
    await pass();
    expect(reasons).toEqual(['disconnected', 'expired', 'claimed', 'disconnected', 'expired']);
    expect(() => gateway.expireGrace(ID)).toThrow('not held');
  });

  it('has an owner that may not act while its lease is in doubt', async () => {
    const [session] = await joined(ID);
    gateway.doubtLease(ID);
    await pass();
    expect(session.state.name).toBe('unconfirmed');
    const sent = session.send('later');
    await pass();
    expect(gateway.session(ID).messages).toEqual([]);
    gateway.confirmLease(ID);
    await pass(1_000);
    expect(session.state.name).toBe('owner');
    expect(await sent).toEqual({ offset: 1 });
  });

  it('ends for its subscribers, and is free', async () => {
    const [session] = await joined(ID);
    gateway.endSubscriptions(ID, 'forbidden');
    await pass();
    expect(session.state).toEqual({ name: 'stopped', reason: 'forbidden' });
    expect(gateway.session(ID).state).toBe('free');
    expect(gateway.connections[0]?.sessions).toEqual([]);
  });

  it('gets what the application publishes, ephemeral or not', async () => {
    const [session] = await joined(ID);
    const heard: unknown[] = [];
    session.on('message', ({ offset, data, bytes, ephemeral }) => heard.push([offset, data ?? bytes, ephemeral]));
    expect(gateway.publish(ID, { text: 'one' })).toBe(1);
    expect(gateway.publish(ID, 'typing', { ephemeral: true })).toBe(1);
    expect(gateway.publish(ID, Uint8Array.of(1, 2))).toBe(2);
    await pass();
    expect(heard).toEqual([
      [1, { text: 'one' }, false],
      [1, 'typing', true],
      [2, Uint8Array.of(1, 2), false],
    ]);
    expect(gateway.session(ID).messages).toEqual([{ text: 'one' }, 'AQI=']);
  });

  it('tells those who are there and those who come back that its history is lost', async () => {
    const [session] = await joined(ID);
    const [away, client] = await joined(ID);
    const resets: number[] = [];
    for (const one of [session, away]) one.on('reset', ({ offset }) => resets.push(offset));
    for (const n of [1, 2]) gateway.publish(ID, n);
    await pass();
    client.pause();
    await pass();
    gateway.loseHistory(ID);
    await pass();
    expect(resets).toEqual([0]);
    client.resume();
    await pass();
    expect(resets).toEqual([0, 0]);
    expect(gateway.publish(ID, 'anew')).toBe(1);
  });

  it('keeps as much history as the test says', async () => {
    begin({ historyLimit: 16 });
    for (let n = 1; n <= 17; n++) gateway.publish(ID, n);
    const session = connect().session(ID, { since: 'oldest' });
    const heard: unknown[] = [];
    session.on('message', ({ data }) => heard.push(data));
    session.on('reset', ({ offset }) => heard.push(`reset at ${offset}`));
    await pass();
    expect(heard).toEqual(['reset at 2', ...Array.from({ length: 15 }, (_, n) => n + 3)]);
  });

  it('forgets idempotency keys after five minutes, as a gateway does', async () => {
    const [session] = await joined(ID);
    const send = () => session.send('one', { idempotencyKey: 'k' });
    expect(await send()).toEqual({ offset: 1 });
    await pass(299_000);
    expect(await send()).toEqual({ offset: 1 });
    await pass(1_000);
    expect(await send()).toEqual({ offset: 2 });
  });

  it('lets people do what the test allows', async () => {
    begin({ principal: 'alice', showPrincipals: true, allows: (right) => right === 'watch' || right === 'signal' });
    const [session] = await joined(ID);
    expect(session.state.name).toBe('watching');
    await expect(session.claim()).rejects.toMatchObject({ code: 'forbidden' });
    await expect(session.claim({ force: true })).rejects.toMatchObject({ code: 'forbidden' });
    await expect(session.send('x')).rejects.toMatchObject({ code: 'forbidden' });
    gateway.takeOver(ID, 'bob');
    await pass();
    expect(session.state).toMatchObject({ ownership: { principal: 'bob' } });
    begin({ allows: () => false });
    const [refused] = await joined(ID);
    expect(refused.state).toEqual({ name: 'stopped', reason: 'refused', code: 'forbidden' });
  });
});
