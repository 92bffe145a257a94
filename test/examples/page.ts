import { WebSocket } from 'ws';
import type { SocketConstructor } from '../../src/client/index.js';

interface Cookie {
  name: string;
  value: string;
  path: string;
}

/** What a browser does for a page of `origin`: cookies of this machine, the Origin of its requests. */
export class Page {
  readonly origin: string;
  readonly WebSocket: SocketConstructor;
  #cookies: Cookie[] = [];

  constructor(origin: string) {
    this.origin = origin;
    this.WebSocket = class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, { origin });
      }
    };
  }

  cookie(name: string): string | undefined {
    return this.#cookies.find((cookie) => cookie.name === name)?.value;
  }

  /** One request, redirects left to the caller. */
  readonly fetch: typeof fetch = async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input, this.origin);
    const headers = new Headers(init.headers);
    const isForeign = url.origin !== this.origin;
    if (isForeign || (init.method ?? 'GET') !== 'GET') headers.set('Origin', this.origin);
    headers.set('Sec-Fetch-Site', isForeign ? 'same-site' : 'same-origin');
    const hasCookies = !isForeign || init.credentials === 'include';
    const cookies = this.#cookies.filter(({ path }) => url.pathname.startsWith(path));
    if (hasCookies && cookies.length > 0) {
      headers.set('Cookie', cookies.map(({ name, value }) => `${name}=${value}`).join('; '));
    }
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    if (hasCookies) for (const line of response.headers.getSetCookie()) this.#store(line);
    return response;
  };

  /** Follows links and redirects to any place, as a person does. @returns where it ended, and what is there */
  async visit(url: string, init: RequestInit = {}): Promise<{ url: string; text: string }> {
    let at = new URL(url, this.origin);
    let response = await this.#navigate(at, init);
    for (let steps = 0; steps < 20; steps++) {
      const location = response.headers.get('Location');
      if (location === null) return { url: at.href, text: await response.text() };
      at = new URL(location, at);
      response = await this.#navigate(at, {});
    }
    throw new Error(`too many redirects, the last to ${at.origin}${at.pathname}`);
  }

  async #navigate(url: URL, init: RequestInit): Promise<Response> {
    return new Page(url.origin).with(this).fetch(url, init);
  }

  /** Shares the cookies of another page. */
  with(other: Page): this {
    this.#cookies = other.#cookies;
    return this;
  }

  #store(line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const [name = '', ...value] = pair.split('=');
    const path = attributes.find((attribute) => /^path=/i.test(attribute))?.slice(5) ?? '/';
    const isGone =
      attributes.some((attribute) => /^max-age=0$/i.test(attribute)) ||
      attributes.some((attribute) => /^expires=/i.test(attribute) && Date.parse(attribute.slice(8)) < Date.now());
    const index = this.#cookies.findIndex((cookie) => cookie.name === name && cookie.path === path);
    if (index >= 0) this.#cookies.splice(index, 1);
    if (!isGone) this.#cookies.push({ name, value: value.join('='), path });
  }
}
