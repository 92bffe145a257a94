/** Clients of a fake gateway, with time that the test lets pass. */
import { afterEach, beforeEach, expect, vi } from 'vitest';
import { type Client, type ClientOptions, createClient, type Session } from '../../src/client/index.js';
import { FakeGateway, type FakeGatewayOptions } from '../../src/testing/index.js';

export let gateway: FakeGateway;
const clients: Client[] = [];

/** Lets microtasks run, and timers for that long. */
export const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

export function begin(options: FakeGatewayOptions): void {
  gateway = new FakeGateway(options);
}

export function connect(options: Partial<ClientOptions> = {}): Client {
  const client = createClient({ url: gateway.url, WebSocket: gateway.WebSocket, ...options });
  clients.push(client);
  return client;
}

/** A session of a client of its own. */
export async function joined(id: string, options: Partial<ClientOptions> = {}): Promise<[Session, Client]> {
  const client = connect(options);
  const session = client.session(id);
  await pass();
  return [session, client];
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  gateway = new FakeGateway();
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  gateway.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.restoreAllMocks();
  vi.useRealTimers();
});
