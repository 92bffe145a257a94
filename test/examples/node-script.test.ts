import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { endChild, spawnTied } from '../support/child-process.js';
import { DevGateway } from '../support/dev-gateway.js';
import { eventually } from './eventually.js';
import { pathOf } from './markdown.js';

/** One of the programs, and what it printed. */
class Program {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown[]>;
  #output = '';

  constructor(name: string, env: Record<string, string>) {
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
    const path = pathOf(`examples/node-script/${name}.js`);
    this.#process = spawnTied([process.execPath, path], { stdio, env: { ...process.env, ...env } });
    this.#ended = once(this.#process, 'exit');
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
    }
  }

  get lines(): string[] {
    return this.#output.trim().split('\n');
  }

  /** @returns its exit code */
  async end(): Promise<unknown> {
    const [code] = await this.#ended;
    return code;
  }

  interrupt(): Promise<unknown> {
    this.#process.kill('SIGINT');
    return this.end();
  }

  stop(): Promise<void> {
    return endChild(this.#process, 'SIGKILL', 1_000);
  }
}

describe('the example with Node scripts', () => {
  let gateway: DevGateway;
  const programs: Program[] = [];

  beforeAll(async () => {
    gateway = await DevGateway.start();
  });

  afterEach(async () => {
    for (const program of programs.splice(0)) await program.stop();
  });

  afterAll(() => gateway?.stop());

  function start(name: 'owner' | 'watcher'): Program {
    const url = `${gateway.url.replace('http', 'ws')}v1/connect`;
    const program = new Program(name, { GATEWAY_URL: url, EVERY_MS: '10' });
    programs.push(program);
    return program;
  }

  it('sends numbered lines to every watcher, and hands over when it is interrupted', async () => {
    const [owner, watcher] = [start('owner'), start('watcher')];
    await eventually(() => owner.lines).toContain('[owner]');
    const another = start('owner');
    expect(await another.end()).toBe(0);
    expect(another.lines).toContain('another connection owns the session');
    await eventually(() => watcher.lines.length).toBeGreaterThan(20);

    expect(await owner.interrupt()).toBe(0);
    const seen = watcher.lines.length;
    const next = start('owner');
    await eventually(() => next.lines).toContain('[owner]');
    await eventually(() => watcher.lines.length).toBeGreaterThan(seen + 5);
    expect(await watcher.interrupt()).toBe(0);

    const offsets = watcher.lines.map((line) => Number.parseInt(line, 10));
    expect(offsets).toEqual(offsets.map((_, index) => index + 1));
    const texts = watcher.lines.map((line) => line.replace(/^\d+: /, ''));
    const first = texts.indexOf('Line 1', 1);
    expect(texts).toEqual(texts.map((_, index) => `Line ${1 + (index < first ? index : index - first)}`));
  });
});
