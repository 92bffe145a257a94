/**
 * The internal port: `/livez`, `/readyz`, `/metrics`. Liveness is the event loop's alone: restarting a node because
 * Redis is away would only cut its connections. Readiness says why it is refused.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Reasons for not being ready by name, such as `draining`; each is true while it applies. */
export type ReadinessChecks = Readonly<Record<string, () => boolean>>;

export interface InternalServerOptions {
  host: string;
  /** 0 for any free one. */
  port: number;
  checks: ReadinessChecks;
  metrics: { contentType: string; render(): Promise<string> };
}

export interface InternalServer {
  /** @throws NodeJS.ErrnoException such as EADDRINUSE */
  listen(): Promise<{ port: number }>;
  close(): Promise<void>;
}

export function failingChecks(checks: ReadinessChecks): string[] {
  return Object.entries(checks).flatMap(([reason, applies]) => (applies() ? [reason] : []));
}

function answer(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(body);
}

export function createInternalServer({ host, port, checks, metrics }: InternalServerOptions): InternalServer {
  const routes: Readonly<Record<string, (response: ServerResponse) => void | Promise<void>>> = {
    '/livez': (response) => answer(response, 200, 'application/json', '{"status":"live"}'),
    '/readyz': (response) => {
      const reasons = failingChecks(checks);
      const status = reasons.length === 0 ? 'ready' : 'not_ready';
      const body = JSON.stringify({ status, reasons });
      answer(response, reasons.length === 0 ? 200 : 503, 'application/json', body);
    },
    '/metrics': async (response) => answer(response, 200, metrics.contentType, await metrics.render()),
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = ''] = (request.url ?? '').split('?', 1);
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined) return answer(response, 404, 'text/plain', 'Try /livez, /readyz or /metrics\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, 'text/plain', 'GET only\n');
    try {
      await route(response);
    } catch {
      answer(response, 500, 'text/plain', 'Failed\n');
    }
  }

  const server = createServer((request, response) => void handle(request, response));

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          resolve({ port: (server.address() as AddressInfo).port });
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
