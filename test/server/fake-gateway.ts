import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Reply {
  status?: number;
  headers?: Record<string, string | string[]>;
  body?: object | string;
  /** The connection breaks instead. */
  breakOff?: true;
  /** Nothing comes. */
  hang?: true;
}

/** An HTTP server on a free port of this machine. */
export class TestServer {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(listener: RequestListener): Promise<TestServer> {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TestServer(server);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Answers by a script and keeps what it was sent. */
export class FakeGateway {
  readonly received: Received[] = [];
  readonly replies: Reply[] = [];
  server: TestServer | undefined;

  get url(): string {
    return this.server?.url ?? '';
  }

  get last(): Received {
    const received = this.received.at(-1);
    if (received === undefined) throw new Error('nothing was received');
    return received;
  }

  async start(): Promise<void> {
    this.server = await TestServer.start(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      const { method = '', url = '', headers } = request;
      this.received.push({ method, url, headers, body });
      const reply = this.replies.shift() ?? {};
      if (reply.hang) return;
      if (reply.breakOff) return request.socket.destroy();
      const content = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {});
      response.writeHead(reply.status ?? 200, reply.headers).end(content);
    });
  }
}

export function refusal(status: number, code: string, more: object = {}): Reply {
  const headers = { 'Content-Type': 'application/problem+json' };
  return { status, headers, body: { type: 'about:blank', status, code, detail: `it is ${code}`, ...more } };
}
