import { describe, expect, it } from 'vitest';
import type { ConnectionLogin } from '../../src/client/index.js';
import { client, connect, gateway, owning, pass, reopened } from './client-harness.js';
import { OWNED } from './fake-gateway.js';

/** A login whose end the test decides, and what the client left with it. */
class FakeLogin implements ConnectionLogin {
  readonly listeners = new Set<() => void>();
  readonly offers = new Set<() => void>();
  ticket = async () => 'ticket';
  refresh = async () => undefined;
  renewed = () => {};

  onEnded(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  offerRenewal(renew: () => void): () => void {
    this.offers.add(renew);
    return () => this.offers.delete(renew);
  }
}

function storing() {
  const stored = new Map<string, string>();
  const storage = {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
    removeItem: (key: string) => void stored.delete(key),
  };
  return { stored, storage };
}

describe('the end of the login', () => {
  it('told by the login stops the connection, and leaves no token to who comes next', async () => {
    const login = new FakeLogin();
    const { stored, storage } = storing();
    const session = await owning({ login, storage });
    expect([...stored.values()]).toContain('token-1');
    for (const ended of login.listeners) ended();
    expect(client.connection).toEqual({ name: 'stopped', code: 4002 });
    expect(session.state).toEqual({ name: 'stopped', reason: 'gateway' });
    expect([...stored.values()]).not.toContain('token-1');
    expect(login.listeners.size).toBe(0);
    await pass(60_000);
    expect(gateway.sockets).toHaveLength(1);
  });

  it.each([4001, 4002, 4003])('told by the close %i leaves no token either', async (code) => {
    const { stored, storage } = storing();
    await owning({ storage });
    gateway.socket.breakOff(code);
    expect(stored.size).toBe(0);
  });

  it.each([4000, 4004])('is not what the close %i tells', async (code) => {
    const { stored, storage } = storing();
    await owning({ storage });
    gateway.socket.breakOff(code);
    expect([...stored.values()]).toEqual(['token-1']);
  });
});

describe('another principal', () => {
  async function comeBackAs(principal: string): Promise<void> {
    const before = gateway.sockets.length;
    gateway.socket.breakOff();
    for (let tries = 0; gateway.sockets.length === before && tries < 1_000; tries++) await pass(5);
    gateway.socket.welcome(25_000, { principal });
    await pass();
  }

  it('does not get the tokens of the one before', async () => {
    await owning({ getTicket: () => 'ticket' });
    await comeBackAs('bob');
    expect(gateway.socket.subscription()).not.toHaveProperty('reconnect_token');
  });

  it('is every anonymous connection, which therefore keeps its tokens', async () => {
    await owning();
    await comeBackAs('anon:2');
    expect(gateway.socket.subscription().reconnect_token).toBe('token-1');
  });
});

describe('a renewal', () => {
  it('is offered to the login while a connection that has it is open, and not longer', async () => {
    const login = new FakeLogin();
    connect({ login }).session('s:1');
    await pass();
    gateway.socket.welcome();
    await pass();
    gateway.socket.acknowledge(OWNED);
    expect(login.offers.size).toBe(1);
    for (const renew of login.offers) renew();
    expect(gateway.socket.all('renew_login')).toHaveLength(1);
    gateway.socket.breakOff();
    expect(login.offers.size).toBe(0);
    await reopened();
    expect(login.offers.size).toBe(1);
  });

  it('is not offered by a connection that cannot', async () => {
    const login = new FakeLogin();
    connect({ login }).session('s:1');
    await pass();
    gateway.socket.welcome(25_000, { features: ['messages'] });
    expect(login.offers.size).toBe(0);
  });
});
