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
