import { compileFunction } from 'node:vm';
import { transform } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import * as holdfast from '../../src/client/index.js';
import * as logins from '../../src/client/login/index.js';
import * as testing from '../../src/testing/index.js';
import { DevGateway } from '../support/dev-gateway.js';
import { eventually } from './eventually.js';
import { codeBlocks } from './markdown.js';
import { Page } from './page.js';

const DOC = 'docs/client.md';
const ORIGIN = 'http://127.0.0.1:3000';
const API_KEY = 'example-api-key-8Qm3T0s5vXyR1uWb7cZdKf2g';
const LINES = [
  [1, 'one'],
  [2, 'end'],
];

/** All but the one that is only an import. */
const blocks = codeBlocks(DOC).filter(({ language, code }) => /^[jt]s$/.test(language) && !/^import .*\n$/.test(code));

/** What the code shows to the person; of the other blocks nothing. */
const SHOWN: [RegExp, unknown[][]][] = [
  [/^for await .*of session\)/, LINES],
  [/since: 'oldest'/, LINES.map(([, data]) => [data])],
];

describe(`the code of ${DOC}`, () => {
  let gateway: DevGateway;
  let page: Page;
  let clients: holdfast.Client[] = [];
  const opened = new Set<holdfast.Client>();

  const createClient: typeof holdfast.createClient = (options) => {
    const client = holdfast.createClient(options);
    client.on('connection', ({ name }) => name === 'open' && opened.add(client));
    clients.push(client);
    return client;
  };
  const createLogin: typeof logins.createLogin = (options) => logins.createLogin({ fetch: page.fetch, ...options });
  const modules: Record<string, object> = {
    'holdfast-client': { ...holdfast, createClient },
    'holdfast-client/login': { ...logins, createLogin },
    'holdfast-client/testing': testing,
    ws: { WebSocket },
  };

  beforeAll(async () => {
    vi.stubEnv('HOLDFAST_API_KEY', API_KEY);
    gateway = await DevGateway.start();
    page = new Page(ORIGIN);
    vi.stubGlobal('WebSocket', page.WebSocket);
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
    await gateway?.stop();
  });

  /** The code with this gateway, and its imports out of `modules`. */
  async function adapted(code: string): Promise<string> {
    const { code: script } = await transform(code, { loader: 'ts' });
    return script
      .replaceAll('127.0.0.1:8080', new URL(gateway.url).host)
      .replace(/^import (\{.+\}) from "(.+)";$/gm, 'const $1 = modules["$2"];');
  }

  /** What the application's backend would hand to the page. */
  async function loginCode(): Promise<string> {
    const headers = { Authorization: `Bearer ${API_KEY}`, 'Content-Type': 'application/json' };
    const body = JSON.stringify({ principal: 'alice', origin: ORIGIN });
    const response = await fetch(`${gateway.url}v1/logins`, { method: 'POST', headers, body });
    return ((await response.json()) as { login_code: string }).login_code;
  }

  async function owner(id: string): Promise<holdfast.Session> {
    const url = `${gateway.url.replace('http', 'ws')}v1/connect`;
    const session = createClient({ url }).session(id);
    await session.claim();
    return session;
  }

  async function say(session: holdfast.Session): Promise<void> {
    for (const [, data] of LINES) await session.send(data);
  }

  it.each(blocks)('runs: line $line', async ({ code, line }) => {
    clients = [];
    opened.clear();
    const session = await owner(`doc:${line}`);
    if (code.includes("'oldest'")) await say(await owner('lines:1'));
    const storage = new Map<string, string>();
    const shown: unknown[][] = [];
    const globals = {
      modules,
      client: clients[0],
      session,
      login_code: await loginCode(),
      show: (...values: unknown[]) => void shown.push(values),
      hide: () => {},
      console: { log: () => {} },
      sessionStorage: {
        getItem: (key: string) => storage.get(key) ?? null,
        setItem: (key: string, value: string) => void storage.set(key, value),
        removeItem: (key: string) => void storage.delete(key),
      },
    };
    // A function of its own, since it may declare the same names.
    const run = compileFunction(`return (async () => { ${await adapted(code)} })();`, Object.keys(globals));
    const done = (run as (...values: unknown[]) => Promise<void>)(...Object.values(globals));
    if (code.startsWith('for await')) await say(session);
    await done;
    expect(shown).toEqual(SHOWN.find(([pattern]) => pattern.test(code))?.[1] ?? []);
    await eventually(() => clients.filter((client) => !opened.has(client))).toEqual([]);
    for (const client of clients) client.close();
  });
});
