/**
 * The internal port: `/livez`, `/readyz`, `/statusz`, `/metrics`, and `POST /drain` and `/undrain`. Liveness is the event
 * loop's alone: restarting a node because Redis is away would only cut its connections. Readiness says why it is refused.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AdminKey, refusalOf } from './admin.js';

export interface Readiness {
  /** Why the node should get no connections, such as `draining`; empty while it is ready. */
  reasons: string[];
  /** What does not work and would not elsewhere. */
  degraded: string[];
}

type Awaitable<T> = T | Promise<T>;

export interface InternalServerOptions {
  host: string;
  /** 0 for any free one. */
  port: number;
  /** Whether anything runs at all (default: it does, since it answers). */
  live?(): boolean;
  readiness(): Awaitable<Readiness>;
  /** For people and tools; as JSON. */
  status(): Awaitable<object>;
  metrics: { contentType: string; render(): Promise<string> };
  /** A connection could not be accepted. */
  onError?(error: Error): void;
  admin: {
    /** Absent: nobody may. */
    key?: AdminKey;
    drain(): Awaitable<void>;
    undrain(): Awaitable<void>;
  };
}

export interface InternalServer {
  /** @throws NodeJS.ErrnoException such as EADDRINUSE */
  listen(): Promise<{ port: number }>;
  close(): Promise<void>;
}

interface Route {
  methods: readonly string[];
  handle(request: IncomingMessage, response: ServerResponse): Awaitable<void>;
}

const READ = ['GET', 'HEAD'];
const JSON_TYPE = 'application/json';
const REQUEST_TIMEOUT_MS = 10_000;

function answer(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  response.end(body);
}

export function createInternalServer(options: InternalServerOptions): InternalServer {
  const { admin, host, port, live = () => true, metrics, readiness, status } = options;

  const command = (act: () => Awaitable<void>): Route => ({
    methods: ['POST'],
    async handle(request, response) {
      const refusal = refusalOf(request.headers, admin.key);
      if (refusal !== undefined) {
        return answer(response, refusal.status, 'text/plain', `${refusal.text}\n`, refusal.headers);
      }
      await act();
      answer(response, 202, JSON_TYPE, JSON.stringify(await status()));
    },
  });

  const routes: Readonly<Record<string, Route>> = {
    '/livez': {
      methods: READ,
      handle: (_request, response) =>
        live()
          ? answer(response, 200, JSON_TYPE, '{"status":"live"}')
          : answer(response, 503, JSON_TYPE, '{"status":"dead"}'),
    },
    '/readyz': {
      methods: READ,
      async handle(_request, response) {
        const { reasons, degraded } = await readiness();
        const ready = reasons.length === 0;
        const body = { status: ready ? 'ready' : 'not_ready', reasons, degraded };
        answer(response, ready ? 200 : 503, JSON_TYPE, JSON.stringify(body));
      },
    },
    '/statusz': {
      methods: READ,
      handle: async (_request, response) =>
        answer(response, 200, JSON_TYPE, `${JSON.stringify(await status(), undefined, 2)}\n`),
    },
    '/metrics': {
      methods: READ,
      handle: async (_request, response) => answer(response, 200, metrics.contentType, await metrics.render()),
    },
    '/drain': command(admin.drain),
    '/undrain': command(admin.undrain),
  };

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = ''] = (request.url ?? '').split('?', 1);
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined) return answer(response, 404, 'text/plain', `Try ${Object.keys(routes).join(', ')}\n`);
    const { methods } = route;
    if (!methods.includes(request.method ?? '')) {
      const allow = methods.join(', ');
      return answer(response, 405, 'text/plain', `${allow} only\n`, { Allow: allow });
    }
    try {
      await route.handle(request, response);
    } catch {
      answer(response, 500, 'text/plain', 'Failed\n');
    }
  }

  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    void handle(request, response);
  });

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, () => {
          server.off('error', reject);
          // Without a listener it would end the process.
          server.on('error', (error) => options.onError?.(error));
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
