import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

interface ProviderGrant {
  current: string;
  revoked: boolean;
  rotations: number;
}

export interface TokenRequest {
  params: URLSearchParams;
  request: IncomingMessage;
}

/** Answers one request in place of the provider, before (`drop`: after) the refresh token is used. */
export type Fault = (response: ServerResponse, asked: TokenRequest) => void | Promise<void>;

/**
 * A token endpoint on this machine that rotates refresh tokens at each use and revokes the grant when one of them
 * comes a second time.
 */
export class StrictProvider {
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #grants = new Map<string, ProviderGrant>();
  /** Requests in the order in which they arrived. */
  readonly requests: TokenRequest[] = [];
  /** Faults of the next requests, one each; those that are undefined go well. */
  readonly faults: (Fault | undefined)[] = [];
  /** Same, after the token was used: the answer is what gets lost. */
  readonly lateFaults: (Fault | undefined)[] = [];
  delayMs = 20;
  expiresIn: number | undefined = 3_600;
  rotate = true;
  /** Further fields of a good answer. */
  extra: Record<string, unknown> = {};
  inFlight = 0;
  mostInFlight = 0;

  static async start(): Promise<StrictProvider> {
    const provider = new StrictProvider();
    provider.#server.listen(0, '127.0.0.1');
    await once(provider.#server, 'listening');
    return provider;
  }

  get tokenUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
  }

  /** @returns the first refresh token of a new grant */
  issue(): string {
    const first = `rt-${randomUUID()}`;
    this.#grants.set(first, { current: first, revoked: false, rotations: 0 });
    return first;
  }

  /** What became of the grant that any of its refresh tokens belongs to. */
  grantOf(refreshToken: string): Readonly<ProviderGrant> {
    const grant = this.#grants.get(refreshToken);
    if (grant === undefined) throw new Error('no such grant');
    return grant;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.inFlight += 1;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    response.once('close', () => {
      this.inFlight -= 1;
    });
    const asked = { request, params: new URLSearchParams(await text(request)) };
    this.requests.push(asked);
    await new Promise((wake) => setTimeout(wake, this.delayMs));
    const fault = this.faults.shift();
    if (fault !== undefined) return fault(response, asked);
    const answer = this.#rotate(asked.params.get('refresh_token') ?? '');
    const late = this.lateFaults.shift();
    if (late !== undefined) return late(response, asked);
    json(response, 'error' in answer ? 400 : 200, answer);
  }

  #rotate(presented: string): object {
    const grant = this.#grants.get(presented);
    if (grant === undefined || grant.revoked) return { error: 'invalid_grant' };
    if (grant.current !== presented) {
      grant.revoked = true;
      return { error: 'invalid_grant', error_description: 'Refresh token replayed' };
    }
    grant.rotations += 1;
    const answer = {
      access_token: `at-${randomUUID()}`,
      token_type: 'Bearer',
      ...(this.expiresIn !== undefined && { expires_in: this.expiresIn }),
      ...this.extra,
    };
    if (!this.rotate) return answer;
    grant.current = `rt-${randomUUID()}`;
    this.#grants.set(grant.current, grant);
    return { ...answer, refresh_token: grant.current };
  }
}

export function json(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(JSON.stringify(body));
}

/** The connection breaks. */
export const cut: Fault = (response) => {
  response.destroy();
};

/** No answer comes. */
export const silence: Fault = () => {};

export const fails =
  (status: number, error?: string, headers: Record<string, string> = {}): Fault =>
  (response) =>
    json(response, status, error === undefined ? {} : { error }, headers);
