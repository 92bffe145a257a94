import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach } from 'vitest';
import { CircuitBreaker } from '../../src/backend/circuit-breaker.js';
import { HookClient, type HookClientOptions } from '../../src/backend/hook-client.js';
import type { BackendTelemetry } from '../../src/backend/telemetry.js';
import { systemClock } from '../../src/lib/clock.js';

export const SECRETS = [Buffer.alloc(32, 1), Buffer.alloc(24, 2)];

export interface ReceivedHook {
  headers: IncomingHttpHeaders;
  text: string;
  body: Record<string, unknown>;
}

type Handler = (hook: ReceivedHook, response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** To be done after the test, last one first. */
export function onCleanup(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

/** An application: a real HTTP server that keeps what it received. */
export async function hookServer(handler: Handler) {
  const received: ReceivedHook[] = [];
  let connections = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const hook = { headers: request.headers, text, body: JSON.parse(text) as Record<string, unknown> };
    received.push(hook);
    await handler(hook, response, request);
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  onCleanup(close);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return { url, received, close, server, connections: () => connections };
}

export function answer(status: number, body: unknown = ''): Handler {
  return (_hook, response) => {
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** What was reported, one word a call. */
export function recorded() {
  const told: string[] = [];
  const telemetry: BackendTelemetry = {
    hook: (name, outcome) => told.push(`${name} ${outcome}`),
    eventDelivered: (type) => told.push(`delivered ${type}`),
    eventRetried: (type) => told.push(`retried ${type}`),
    eventBuried: (type) => told.push(`buried ${type}`),
    backlog: () => {},
  };
  return { told, telemetry };
}

export function hookClient(url: string, options: Partial<HookClientOptions> = {}) {
  const { told, telemetry } = recorded();
  const changes: boolean[] = [];
  const hook = new HookClient({
    name: 'events',
    url: new URL(url),
    secrets: SECRETS,
    timeoutMs: 400,
    concurrency: 4,
    breaker: new CircuitBreaker(options.clock ?? systemClock, (open) => changes.push(open)),
    clock: systemClock,
    telemetry,
    ...options,
  });
  onCleanup(() => hook.close());
  return { hook, told, changes };
}

/** Waits until `holds`; fails after ten seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error('it did not come about');
    await sleep(5);
  }
}
