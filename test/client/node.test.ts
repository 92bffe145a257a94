import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Client, createClient } from '../../src/client/index.js';
import { DevGateway } from '../support/dev-gateway.js';

describe('the client in Node, with ws, against a gateway', () => {
  let gateway: DevGateway;
  const clients: Client[] = [];

  const connect = (): Client => {
    const client = createClient({ url: `${gateway.url.replace('http', 'ws')}v1/connect`, WebSocket });
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    gateway = await DevGateway.start('--grace-ms', '1000');
  });

  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  afterAll(() => gateway?.stop());

  it('takes its sessions back after each of many lost connections', async () => {
    const client = connect();
    const sessions = Array.from({ length: 100 }, (_, index) => client.session(`many:${index}`));
    const owned = () => sessions.filter(({ state }) => state.name === 'owner').length;
    await expect.poll(owned).toBe(sessions.length);
    const epochs = () => sessions.map(({ state }) => ('ownership' in state ? state.ownership.ownerEpoch : 0));
    for (let round = 0; round < 5; round++) {
      const before = epochs();
      client.reconnect();
      expect(owned()).toBe(0);
      await expect.poll(owned).toBe(sessions.length);
      const after = epochs();
      expect(after.every((epoch, index) => epoch > (before[index] ?? 0))).toBe(true);
    }
  });

  it('messages arrive once and in order, in whatever state the connections of sender and watcher are', async () => {
    const [first, second] = [connect(), connect()];
    const owner = first.session('stream:1');
    await expect.poll(() => owner.state.name).toBe('owner');
    const heard: [offset: number, data: unknown][] = [];
    const watcher = second.session('stream:1', { claim: 'never', since: 'oldest' });
    watcher.on('message', ({ offset, data }) => heard.push([offset, data]));
    const resets: number[] = [];
    watcher.on('reset', ({ offset }) => resets.push(offset));
    const offsets: number[] = [];
    for (let round = 0; round < 10; round++) {
      // More than are on their way at once, so that a lost connection finds some sent, some answered and some neither.
      const sent = Array.from({ length: 60 }, (_, n) => owner.send(round * 60 + n));
      if (round % 2 === 0) await sent[30];
      (round % 3 === 0 ? second : first).reconnect();
      for (const { offset } of await Promise.all(sent)) offsets.push(offset);
    }
    const all = Array.from({ length: 600 }, (_, n) => n);
    expect(offsets).toEqual(all.map((n) => n + 1));
    await expect.poll(() => heard.length).toBe(600);
    expect(heard).toEqual(all.map((n) => [n + 1, n]));
    expect(resets).toEqual([]);
  });

  it('sends keep their order beyond what the gateway takes of one connection at once', async () => {
    const session = connect().session('burst:1');
    await expect.poll(() => session.state.name).toBe('owner');
    const sent = await Promise.all(Array.from({ length: 256 }, (_, n) => session.send(n)));
    expect(sent.map(({ offset }) => offset)).toEqual(Array.from({ length: 256 }, (_, n) => n + 1));
  });

  it('moves a session between two clients', async () => {
    const [first, second] = [connect().session('move:1'), connect().session('move:1', { claim: 'never' })];
    await expect.poll(() => first.state.name).toBe('owner');
    await expect.poll(() => second.state.name).toBe('watching');
    await expect(second.claim()).rejects.toMatchObject({ code: 'session_owned' });
    await second.claim({ force: true });
    await expect.poll(() => first.state.name).toBe('watching');
    await second.release();
    await first.claim();
    expect(first.state.name).toBe('owner');
    clients[0]?.pause();
    await expect.poll(() => second.state.name).toBe('held_by_other');
    await expect(second.claim()).rejects.toMatchObject({ code: 'session_held', retryable: true });
    clients[0]?.resume();
    await expect.poll(() => first.state.name).toBe('owner');
    await first.unsubscribe();
    await expect.poll(() => second.state).toMatchObject({ ownership: { state: 'free' } });
  });
});
