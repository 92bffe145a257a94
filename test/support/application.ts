import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HookCall {
  path: string;
  id: string;
  body: Record<string, unknown>;
  /** Whether the signature and the time are right. */
  genuine: boolean;
}

type Answer = (call: HookCall, response: ServerResponse) => void;

const SECRET = randomBytes(32);

/** What a gateway needs to know of the secret. */
export const HOOK_SECRET = `whsec_${SECRET.toString('base64')}`;

/** The application behind the gateway, as a server whose answers a test chooses. */
export class Application {
  readonly calls: HookCall[] = [];
  /** By path; without one of its own a path is answered 200 with `{}`. */
  readonly answers = new Map<string, Answer>();
  readonly #server: Server;
  #port = 0;

  constructor() {
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<this> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Refuses connections until it is started again. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Answers `path` with that from now on. */
  on(path: string, answer: (call: HookCall) => unknown): void {
    this.answers.set(path, (call, response) => json(response, 200, answer(call)));
  }

  callsOf(path: string): HookCall[] {
    return this.calls.filter((call) => call.path === path);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {});
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const header = (name: string) => String(request.headers[name] ?? '');
    const [id, timestamp] = [header('webhook-id'), header('webhook-timestamp')];
    const expected = `v1,${createHmac('sha256', SECRET).update(`${id}.${timestamp}.${text}`).digest('base64')}`;
    const call: HookCall = {
      path: request.url ?? '',
      id,
      body: JSON.parse(text) as Record<string, unknown>,
      genuine: header('webhook-signature') === expected && Math.abs(Date.now() / 1000 - Number(timestamp)) < 10,
    };
    this.calls.push(call);
    (this.answers.get(call.path) ?? ((_call, it) => json(it, 200, {})))(call, response);
  }
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
