/** A page in a real browser, behind HAProxy in front of three real nodes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { newSession, noHaproxy, useCluster } from '../cluster/use-cluster.js';
import { findChromium, launchChromium } from '../support/chromium.js';
import type { GatewayCluster } from '../support/cluster.js';
import { createLogin } from '../support/login-calls.js';
import { freePorts } from '../support/ports.js';
import { StrictProvider } from '../support/strict-provider.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { Probe, type Told } from './cluster-probe.js';
import { type PageServer, servePage } from './probe-server.js';

const executablePath = findChromium();
const isOptional = process.env['CI'] !== 'true';
const cannot = executablePath === undefined ? 'no chromium on PATH' : noHaproxy;
/** Chromium keeps no page in the back/forward cache when Playwright starts it as it usually does. */
const DEFAULTS_TO_DROP = ['--disable-back-forward-cache'];
const GRACE_MS = 30_000;
/** Of the sessions that `shortSession` names. */
export const SHORT_GRACE_MS = 1_500;

export const shortSession = (): string => newSession('short');

/** What the tests of a file share. */
interface Rig {
  cluster: GatewayCluster;
  browser: Browser;
  /** Upstream of the logins. */
  provider: StrictProvider;
  /** The network between the browser and HAProxy. */
  network: TcpProxy;
  /** Where the browser takes further connections of Playwright. */
  debuggingUrl: string;
}

/** What one test has. */
export class World {
  readonly context: BrowserContext;
  readonly cluster: GatewayCluster;
  readonly browser: Browser;
  readonly provider: StrictProvider;
  readonly network: TcpProxy;
  readonly probes: Probe[] = [];
  /** Every answer of the login's routes, as `ticket 200`. */
  readonly calls: string[] = [];
  readonly #rig: Rig;
  readonly #excuses: ((told: Told) => boolean)[] = [];

  private constructor(rig: Rig, context: BrowserContext) {
    this.context = context;
    this.cluster = rig.cluster;
    this.browser = rig.browser;
    this.provider = rig.provider;
    this.network = rig.network;
    this.#rig = rig;
  }

  static async make(rig: Rig): Promise<World> {
    const world = new World(rig, await rig.browser.newContext());
    await world.#listen(world.context);
    return world;
  }

  /**
   * The same for a browser as people use it: Playwright keeps all pages of its own contexts visible and focused, and
   * one that is visible cannot be frozen.
   */
  async withoutEmulation(use: (world: World) => Promise<void>): Promise<void> {
    const browser = await chromium.connectOverCDP(this.#rig.debuggingUrl, { noDefaults: true });
    try {
      const [context] = browser.contexts();
      if (context === undefined) throw new Error('the browser has no context of its own');
      const world = new World(this.#rig, context);
      await world.#listen(context);
      await use(world).finally(() => this.probes.push(...world.probes));
      for (const page of context.pages()) await page.close();
      await context.clearCookies();
    } finally {
      await browser.close();
    }
  }

  get origin(): string {
    return `http://127.0.0.1:${this.network.port}`;
  }

  /** Makes a login of alice. @returns the address at which a page takes it up */
  async address(sessionId: string, more: Record<string, string> = {}): Promise<string> {
    const upstream = { refresh_token: this.provider.issue() };
    const { login_code: code } = await createLogin(this.cluster.haproxy, { upstream });
    return `${this.origin}/?${new URLSearchParams({ session: sessionId, code, ...more }).toString()}`;
  }

  /** A tab at that address. */
  async open(address: string): Promise<Probe> {
    const probe = this.probe(await this.context.newPage());
    await probe.page.goto(address);
    return probe;
  }

  /** A tab that is logged in and owns the session. */
  async openOwner(sessionId = newSession()): Promise<Probe> {
    const probe = await this.open(await this.address(sessionId));
    await probe.until('owner');
    return probe;
  }

  /** A further tab of the same login, which owns a session of its own. */
  async openAlso(): Promise<Probe> {
    const probe = await this.open(`${this.origin}/?session=${newSession()}`);
    await probe.until('owner');
    return probe;
  }

  /** What that page tells. */
  probe(page: Page): Probe {
    const known = this.probes.find((probe) => probe.page === page);
    if (known !== undefined) return known;
    const probe = new Probe(page, this.cluster);
    this.probes.push(probe);
    return probe;
  }

  /** The machine has no network: the browser says so, and nothing passes either way while all sockets stay open. */
  async goOffline(): Promise<void> {
    this.network.pause();
    await this.context.setOffline(true);
  }

  async goOnline(): Promise<void> {
    this.network.resume();
    await this.context.setOffline(false);
  }

  /** The test is about a complaint like that. */
  excuse(matches: (told: Told) => boolean): void {
    this.#excuses.push(matches);
  }

  /** What a person may have been shown and no test was about. */
  complaints(): Told[] {
    const all = this.probes.flatMap((probe) => probe.complaints());
    return all.filter((told) => !this.#excuses.some((matches) => matches(told)));
  }

  /** What happened, for a failure's message. */
  tell(): string {
    return [...this.probes.map((probe) => probe.tail()), this.calls.join(', ')].join('\n---\n');
  }

  async #listen(context: BrowserContext): Promise<void> {
    await context.exposeBinding('tell', ({ page }, told: Told) => {
      this.probe(page).told.push(told);
    });
    context.on('response', (response) => {
      const { pathname } = new URL(response.url());
      if (pathname.startsWith('/v1/auth/')) this.calls.push(`${pathname.slice(9)} ${response.status()}`);
    });
  }
}

/**
 * Tests of one file, with a browser and a cluster. One whose pages complain fails.
 * @param args further settings of the nodes
 */
export function describeInChromium(name: string, args: readonly string[], tests: (world: () => World) => void): void {
  const title = cannot === undefined ? name : `${name} (skipped: ${cannot})`;
  describe.skipIf(cannot !== undefined && isOptional)(title, () => {
    let provider: StrictProvider;
    let pages: PageServer;
    let network: TcpProxy;
    let browser: Browser;
    let debuggingUrl: string;
    let world: World;
    const folder = mkdtemp(join(tmpdir(), 'holdfast-browser-'));

    const cluster = useCluster(async () => {
      [provider, pages] = await Promise.all([StrictProvider.start(), servePage()]);
      // The nodes must know the origin of the page before there is anything at its address.
      const [haproxyPort = 0] = await freePorts(1);
      network = await TcpProxy.start(haproxyPort);
      const config = join(await folder, 'holdfast.json');
      await writeFile(config, JSON.stringify(configFor(provider.tokenUrl)));
      const settings = ['--auth', 'login,anonymous', '--drain-ms', '3000', '--config', config];
      return {
        haproxy: { pagePort: pages.port },
        haproxyPort,
        graceMs: GRACE_MS,
        args: [...settings, '--allowed-origins', `http://127.0.0.1:${network.port}`, ...args],
        env: { HOLDFAST_ALLOW_LOOPBACK_HTTP: 'true' },
      };
    });

    beforeAll(async () => {
      const [port = 0] = await freePorts(1);
      debuggingUrl = `http://127.0.0.1:${port}`;
      browser = await launchChromium({
        args: [`--remote-debugging-port=${port}`],
        ignoreDefaultArgs: DEFAULTS_TO_DROP,
      });
    });

    afterAll(async () => {
      await browser?.close();
      await Promise.all([network?.stop(), pages?.stop(), provider?.stop()]);
      await rm(await folder, { recursive: true });
    });

    beforeEach(async () => {
      world = await World.make({ cluster: cluster(), browser, provider, network, debuggingUrl });
    });

    afterEach(async ({ task }) => {
      network.resume();
      await world.context.close();
      if (task.result?.state === 'fail') console.error(world.tell());
      expect(world.complaints()).toEqual([]);
    });

    tests(() => world);
  });
}

function configFor(tokenUrl: string): object {
  const upstream = { tokenUrl, clientId: 'gateway', exposeAccessToken: true, freshMs: 100 };
  return { upstreams: { default: upstream }, namespaces: { short: { graceMs: SHORT_GRACE_MS } } };
}
