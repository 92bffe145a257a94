/** Plain HTTP requests that set any header, as attackers do; `fetch` refuses some of them. */
import { request } from 'node:http';
import type { GatewayServerOptions } from '../../src/transport/server.js';
import { FakeLoginApi } from './fake-login-api.js';
import { startGateway } from './gateway.js';

export interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  body: Record<string, unknown>;
}

export interface HttpCall {
  method?: string;
  headers?: Record<string, string | string[]>;
  /** An object is sent as JSON. */
  body?: object | string;
}

export function httpCall(
  port: number,
  path: string,
  { method, headers = {}, body }: HttpCall = {},
): Promise<HttpAnswer> {
  const isObject = typeof body === 'object';
  const text = isObject ? JSON.stringify(body) : (body ?? '');
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        agent: false,
        headers: {
          ...(isObject && { 'Content-Type': 'application/json' }),
          ...(body !== undefined && { 'Content-Length': String(Buffer.byteLength(text)) }),
          ...headers,
        },
      },
      async (response) => {
        let answered = '';
        for await (const chunk of response) answered += String(chunk);
        const isJson = answered.startsWith('{');
        const { statusCode: status = 0, headers: answerHeaders } = response;
        resolve({ status, headers: answerHeaders, text: answered, body: isJson ? JSON.parse(answered) : {} });
      },
    );
    sent.on('error', reject);
    sent.end(text);
  });
}

/** A gateway whose logins are fake, and `call` to it. */
export async function startLogins(changes: Partial<GatewayServerOptions> = {}) {
  const logins = new FakeLoginApi();
  const { port } = await startGateway({ logins, jwks: () => ({ keys: [{ kid: 'k' }] }), ...changes });
  return { port, logins, call: (path: string, options?: HttpCall) => httpCall(port, path, options) };
}
