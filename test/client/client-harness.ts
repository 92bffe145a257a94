import { afterEach, beforeEach, expect, vi } from 'vitest';
import { type Client, type ClientOptions, createClient, type Session } from '../../src/client/index.js';
import { FakeGateway, OWNED } from './fake-gateway.js';

export const URL = 'ws://gateway.test/v1/connect';

export let gateway: FakeGateway;
export let client: Client;

export function connect(options: Partial<ClientOptions> = {}): Client {
  client = createClient({ url: URL, WebSocket: gateway.WebSocket, ...options });
  return client;
}

/** Lets microtasks run, and timers for that long. */
export const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

export async function opened(options: Partial<ClientOptions> = {}): Promise<Session> {
  const session = connect(options).session('s:1');
  await pass();
  gateway.socket.welcome();
  await pass();
  return session;
}

export async function owning(options: Partial<ClientOptions> = {}): Promise<Session> {
  const session = await opened(options);
  gateway.socket.acknowledge(OWNED);
  return session;
}

export async function reopened(): Promise<void> {
  const before = gateway.sockets.length;
  for (let tries = 0; gateway.sockets.length === before && tries < 1_000; tries++) await pass(5);
  gateway.socket.welcome();
  await pass();
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  gateway = new FakeGateway();
});

afterEach(() => {
  client.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.restoreAllMocks();
  vi.useRealTimers();
});
