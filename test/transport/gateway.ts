import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import type { Log } from '../../src/lib/log.js';
import type { ServerMessage } from '../../src/protocol/messages.js';
import { ALL_RIGHTS } from '../../src/session/rights.js';
import type { ConnectionLimits } from '../../src/transport/connection-context.js';
import { createGatewayServer, type GatewayServer, type GatewayServerOptions } from '../../src/transport/server.js';
import type { TransportTelemetry } from '../../src/transport/telemetry.js';
import { FakeSessions } from './fake-sessions.js';

export const API_KEY = 'an-api-key-of-the-backend';

export const LIMITS: ConnectionLimits = {
  maxPayloadBytes: 4096,
  maxSubscriptions: 8,
  maxPendingRequests: 16,
  maxQueueBytes: 64 * 1024,
  compressAboveBytes: 0,
  maxBadFrames: 20,
  frames: { perSecond: 1000, burst: 1000 },
  batch: { perSecond: 1000, burst: 1000 },
  pingIntervalMs: 25_000,
  pongTimeoutMs: 8_000,
  renewalMarginMs: 25_000,
  maxAgeMs: 0,
};

export const QUIET: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Counts what is reported, by `name` or `name:argument`. */
export class Reports implements TransportTelemetry {
  readonly counts = new Map<string, number>();
  open = 0;
  connections(count: number): void {
    this.open = count;
  }
  refused(reason: string): void {
    this.#count(`refused:${reason}`);
  }
  frameReceived(): void {
    this.#count('frame');
  }
  rateLimited(): void {
    this.#count('rate_limited');
  }
  slowConsumer(): void {
    this.#count('slow_consumer');
  }
  closed(code: number): void {
    this.#count(`closed:${code}`);
  }
  #count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

export interface TestGateway {
  server: GatewayServer;
  sessions: FakeSessions;
  reports: Reports;
  port: number;
}

type Changes = Partial<Omit<GatewayServerOptions, 'limits'>> & { limits?: Partial<ConnectionLimits> };

/** A gateway on a free port, closed when the test ends. */
export async function startGateway(changes: Changes = {}): Promise<TestGateway> {
  const sessions = new FakeSessions();
  const reports = new Reports();
  const server = createGatewayServer({
    host: '127.0.0.1',
    port: 0,
    nodeId: 'n1',
    sessions,
    authentication: { anonymous: true, rightsFor: () => ALL_RIGHTS },
    origins: { allowed: ['https://app.example.com'], allowLoopback: false },
    apiKeyHashes: [createHash('sha256').update(API_KEY).digest()],
    trustedProxies: [],
    maxConnections: 1000,
    maxConnectionsPerAddress: 100,
    requestTimeoutMs: 10_000,
    page: [],
    overloaded: () => false,
    onAged: () => {},
    telemetry: reports,
    log: QUIET,
    ...changes,
    limits: { ...LIMITS, ...changes.limits },
  });
  const { port } = await server.listen();
  onTestFinished(() => server.close());
  return { server, sessions, reports, port };
}

/** A WebSocket client that keeps what it was sent until it is asked for. */
export class Client {
  readonly socket: WebSocket;
  readonly #received: ServerMessage[] = [];
  readonly #closed: Promise<{ code: number; reason: string }>;
  #wake: () => void = () => {};

  constructor(port: number, options: ClientOptions = {}, protocols: string[] = ['holdfast.v1']) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/v1/connect`, protocols, options);
    this.socket.on('message', (data: Buffer) => {
      this.#received.push(JSON.parse(data.toString()) as ServerMessage);
      this.#wake();
    });
    this.socket.on('error', () => {});
    this.#closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
    onTestFinished(() => this.socket.terminate());
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame));
  }

  async next(): Promise<ServerMessage> {
    while (this.#received.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#received.shift() as ServerMessage;
  }

  async ask(frame: unknown): Promise<ServerMessage> {
    this.send(frame);
    return this.next();
  }

  closed(): Promise<{ code: number; reason: string }> {
    return this.#closed;
  }
}

/** A client whose `welcome` has arrived. */
export async function connected(port: number, options?: ClientOptions): Promise<Client> {
  const client = new Client(port, options);
  await client.next();
  return client;
}

/** The HTTP answer to an upgrade that is refused. */
export async function refusedUpgrade(
  port: number,
  headers: Record<string, string> = {},
  path = '/v1/connect',
): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: Record<string, unknown> }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers });
  socket.on('error', () => {});
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) };
}

/** The head of an upgrade request, for sockets that are written by hand. */
export function upgradeHead(extra = ''): string {
  return (
    'GET /v1/connect HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${extra}\r\n`
  );
}

export async function rawSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** One masked client frame, with a mask of zeros. */
export function clientFrame(opcode: number, payload: Buffer, fin = true): Buffer {
  const length =
    payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, ...length, 0, 0, 0, 0]), payload]);
}

/** Resolves once `condition` holds. */
export async function until(condition: () => boolean, withinMs = 5_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A promise that the test resolves. */
export function newGate(): { promise: Promise<void>; open(): void } {
  let open = () => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}
