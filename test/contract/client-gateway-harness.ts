import { WebSocket } from 'ws';
import type { SocketConstructor } from '../../src/client/index.js';
import { loadConfig } from '../../src/config/load.js';
import { startGateway } from '../../src/gateway.js';
import { FakeGateway } from '../../src/testing/index.js';
import { silent } from '../support/silent.js';

/** A gateway, real or fake, as clients and their application see it. */
export interface GatewayUnderTest {
  readonly url: string;
  readonly WebSocket: SocketConstructor;
  /** For logins. */
  readonly origin: string;
  readonly fetch: typeof fetch;
  /** Breaks a connection, without a closing handshake. */
  drop(connectionId: string): void;
  publish(sessionId: string, data: unknown): Promise<void>;
  removeOwner(sessionId: string): Promise<void>;
  /** For a session that nobody follows now. */
  loseHistory(sessionId: string): Promise<void>;
  /** @returns a login code */
  createLogin(principal: string): Promise<string>;
  /** Ends every login of a principal, as the application does. */
  endLogins(principal: string): Promise<void>;
  drain(): Promise<void>;
  stop(): Promise<void>;
}

export interface Settings {
  graceMs: number;
  accessTokenMs: number;
}

export type StartGateway = (settings: Settings) => Promise<GatewayUnderTest>;

const API_KEY = 'an-api-key-of-the-backend-of-the-contract';

export const startFake: StartGateway = async ({ graceMs, accessTokenMs }) => {
  const fake = new FakeGateway({ graceMs, accessTokenMs });
  return {
    url: fake.url,
    WebSocket: fake.WebSocket,
    origin: 'https://gateway.test',
    fetch: fake.auth.fetch,
    drop: (connectionId) => fake.drop(fake.connections.find(({ id }) => id === connectionId)),
    publish: async (sessionId, data) => void fake.publish(sessionId, data),
    removeOwner: async (sessionId) => fake.removeOwner(sessionId),
    loseHistory: async (sessionId) => fake.loseHistory(sessionId),
    createLogin: async (principal) => fake.auth.createLogin(principal),
    endLogins: async (principal) => fake.endLogin(4001, principal),
    drain: async () => fake.drain(),
    stop: async () => fake.stop(),
  };
};

/** In this process, in memory. */
export const startReal: StartGateway = async ({ graceMs, accessTokenMs }) => {
  const flags = {
    host: '127.0.0.1',
    port: '0',
    internalPort: '0',
    auth: 'login,anonymous',
    graceMs: String(graceMs),
    accessTokenTtlMs: String(accessTokenMs),
    messagesPerSecond: '1000',
    messageBurst: '1000',
  };
  const env = { HOLDFAST_API_KEY: API_KEY, HOLDFAST_SECRET: 'q'.repeat(43) };
  const { config } = loadConfig({ env, flags, defaults: {} });
  const gateway = await startGateway(config, { log: silent, page: false, openRights: true });
  const origin = `http://${gateway.address}`;
  const sockets = new Map<string, WebSocket>();

  async function call(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const headers = { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' };
    const response = await fetch(`${origin}/v1/${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  }

  return {
    url: `ws://${gateway.address}/v1/connect`,
    origin,
    fetch,
    WebSocket: class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        this.once('message', (data: Buffer) => {
          const { connection_id: id } = JSON.parse(data.toString()) as { connection_id: string };
          sockets.set(id, this);
        });
      }
    },
    drop: (connectionId) => sockets.get(connectionId)?.terminate(),
    publish: async (sessionId, data) => void (await call('POST', `sessions/${sessionId}/messages`, { data })),
    removeOwner: async (sessionId) => void (await call('DELETE', `sessions/${sessionId}/owner`)),
    loseHistory: async (sessionId) => void (await call('DELETE', `sessions/${sessionId}`)),
    createLogin: async (principal) => String((await call('POST', 'logins', { principal }))['login_code']),
    endLogins: async (principal) => void (await call('DELETE', `principals/${principal}/logins`)),
    drain: () => gateway.drain(),
    stop: () => gateway.close(),
  };
};
