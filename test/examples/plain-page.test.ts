import { compileFunction } from 'node:vm';
import { build } from 'esbuild';
import { Window } from 'happy-dom';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Client } from '../../src/client/index.js';
import { DevGateway } from '../support/dev-gateway.js';
import { eventually } from './eventually.js';
import { codeBlocks, pathOf, textOf } from './markdown.js';
import { Page } from './page.js';

const PAGE = 'examples/plain-page/index.html';
const DOC = 'docs/client.md';
const ORIGIN = 'http://127.0.0.1:3000';
const html = textOf(PAGE);
const [, script = ''] = /<script type="module">\n([^]*)<\/script>/.exec(html) ?? [];
const [markup = ''] = html.split('<script');

class Tab {
  readonly #window: Window;
  readonly #client: Client;

  /**
   * @param code the page's script, with `return client` behind it
   * @param before the tab that this one is a reload of
   */
  constructor(code: string, before?: Tab) {
    this.#window = new Window({ url: ORIGIN });
    this.#window.document.write(markup);
    const run = compileFunction(code, ['document', 'sessionStorage']) as (...globals: unknown[]) => Client;
    this.#client = run(this.#window.document, (before ?? this).#window.sessionStorage);
  }

  textOf(selector: string): string {
    return this.#window.document.querySelector(selector)?.textContent ?? '';
  }

  click(selector: string): void {
    this.#window.document.querySelector<'button'>(selector as 'button')?.click();
  }

  say(text: string): void {
    const input = this.#window.document.querySelector('input');
    if (input !== null) input.value = text;
    this.click('#send');
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.#window.happyDOM.close();
  }
}

describe('the plain page', () => {
  let gateway: DevGateway;
  const tabs: Tab[] = [];

  beforeAll(async () => {
    gateway = await DevGateway.start();
    vi.stubGlobal('WebSocket', new Page(ORIGIN).WebSocket);
  });

  afterEach(async () => {
    for (const tab of tabs.splice(0)) await tab.close();
  });

  afterAll(async () => {
    vi.unstubAllGlobals();
    await gateway?.stop();
  });

  /** The same code, for this gateway and a session of its own. */
  function adapted(code: string, session: string): string {
    const { host } = new URL(gateway.url);
    return code.replaceAll('127.0.0.1:8080', host).replace("'lines:1'", `'${session}'`);
  }

  function open(code: string, before?: Tab): Tab {
    const tab = new Tab(code, before);
    tabs.push(tab);
    return tab;
  }

  async function asTheGatewayServesIt(session: string): Promise<string> {
    const [, address = ''] = /<script src="([^"]+)">/.exec(adapted(html, session)) ?? [];
    const library = await (await fetch(address)).text();
    return `${library}\n${adapted(script, session)}\nreturn client;`;
  }

  async function withABundler(session: string): Promise<string> {
    const own = codeBlocks(DOC).find(({ above }) => above.endsWith('Its first line becomes'));
    const [, ...rest] = script.split('\n');
    const { outputFiles } = await build({
      stdin: {
        contents: `${own?.code}${adapted(rest.join('\n'), session)}\nexport { client };`,
        resolveDir: pathOf('.'),
      },
      alias: { 'holdfast-client': pathOf('dist/packages/holdfast-client/client/index.js') },
      bundle: true,
      write: false,
      format: 'iife',
      globalName: 'page',
    });
    return `${outputFiles[0]?.text}\nreturn page.client;`;
  }

  it('is what the document shows, in less than 30 lines', () => {
    for (const page of [DOC, 'README.md']) {
      expect(codeBlocks(page).find(({ language }) => language === 'html')?.code).toBe(html);
    }
    expect(html.split('\n').length).toBeLessThan(30);
    expect(textOf(DOC)).toContain(`Two tabs in ${html.trim().split('\n').length} lines`);
  });

  it.each([
    ['with the script of the gateway', 'lines:script', asTheGatewayServesIt],
    ['with a bundler', 'lines:bundler', withABundler],
  ])('has one owner among its tabs, %s', async (_how, session, codeOf) => {
    const code = await codeOf(session);
    const first = open(code);
    await eventually(() => first.textOf('#state')).toBe('owner');
    const second = open(code);
    await eventually(() => second.textOf('#state')).toBe('watching');
    first.say('Hello');
    await eventually(() => second.textOf('#lines')).toBe('Hello');

    await first.close();
    await eventually(() => second.textOf('#state')).toBe('held_by_other');
    const reloaded = open(code, first);
    await eventually(() => reloaded.textOf('#state')).toBe('owner');
    expect(reloaded.textOf('#lines')).toBe('Hello');

    second.click('#take');
    await eventually(() => second.textOf('#state')).toBe('owner');
    await eventually(() => reloaded.textOf('#state')).toBe('watching');
    second.click('#give');
    await eventually(() => second.textOf('#state')).toBe('watching');
  });
});
