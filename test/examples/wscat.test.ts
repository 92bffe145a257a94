import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DevGateway } from '../support/dev-gateway.js';
import { RawClient } from '../support/raw-client.js';
import { codeBlocks } from './markdown.js';

const README = 'examples/wscat/README.md';

/** One terminal of the page: what was typed into it, and the frames that the page has not shown so far. */
class Terminal {
  readonly #url: string;
  #client: RawClient | undefined;
  #shown = new Set<number>();
  /** The last ones seen, for where the page says `…` in a line to type. */
  #token = '';
  #epoch = '';

  constructor(url: string) {
    this.#url = url;
  }

  async enter(line: string): Promise<void> {
    if (line.startsWith('npx wscat ')) {
      this.#client = await RawClient.connect(this.#url);
      this.#shown = new Set();
    } else if (line === '^C') {
      expect(this.surplus).toEqual([]);
      await this.#client?.close();
    } else if (line.startsWith('> ')) this.#client?.socket.send(this.#filledIn(line.slice(2)));
    else if (line.startsWith('< ')) await this.#shows(line.slice(2));
    else throw new Error(`a line that wscat does not know: ${line}`);
  }

  /** Frames that came and are not on the page. */
  get surplus(): string[] {
    return this.#frames.filter((frame, index) => !this.#shown.has(index) && !frame.startsWith('{"type":"presence"'));
  }

  close(): void {
    this.#client?.terminate();
  }

  get #frames(): string[] {
    return this.#client?.frames.map(({ message }) => JSON.stringify(message)) ?? [];
  }

  async #shows(pattern: string): Promise<void> {
    const escaped = pattern.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll('…', '.*');
    const matcher = new RegExp(`^${escaped}$`);
    const find = () => this.#frames.findIndex((frame, index) => !this.#shown.has(index) && matcher.test(frame));
    await expect.poll(find, { message: `${pattern} among ${this.surplus.join(' ')}`, timeout: 10_000 }).not.toBe(-1);
    const index = find();
    this.#shown.add(index);
    const frame = this.#frames[index] ?? '';
    this.#token = /"reconnect_token":"([^"]+)"/.exec(frame)?.[1] ?? this.#token;
    this.#epoch = /"epoch":"([^"]+)"/.exec(frame)?.[1] ?? this.#epoch;
  }

  #filledIn(line: string): string {
    return line
      .replace('"reconnect_token":"…"', `"reconnect_token":"${this.#token}"`)
      .replace('"epoch":"…"', `"epoch":"${this.#epoch}"`);
  }
}

describe('the example by hand', () => {
  let gateway: DevGateway;
  let terminals: { first: Terminal; second: Terminal };

  beforeAll(async () => {
    gateway = await DevGateway.start();
    const url = `${gateway.url.replace('http', 'ws')}v1/connect`;
    terminals = { first: new Terminal(url), second: new Terminal(url) };
  });

  afterAll(async () => {
    for (const terminal of Object.values(terminals)) terminal.close();
    await gateway?.stop();
  });

  it('goes as its page says, frame by frame, and there are no others', async () => {
    let terminal = terminals.first;
    for (const { code, above } of codeBlocks(README)) {
      const named = /\b(first|second) terminal/i.exec(above)?.[1]?.toLowerCase();
      if (named !== undefined) terminal = terminals[named as 'first' | 'second'];
      for (const line of code.trim().split('\n')) await terminal.enter(line);
    }
    expect(terminals.first.surplus).toEqual([]);
    expect(terminals.second.surplus).toEqual([]);
  });
});
