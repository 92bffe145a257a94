import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RedisClient } from './client.js';

export const SCRIPT_NAMES = [
  'append',
  'claim',
  'history',
  'hold',
  'login-create',
  'login-end',
  'login-mark',
  'login-own',
  'login-present',
  'login-read',
  'login-reserve',
  'login-touch',
  'login-unlist',
  'node-beat',
  'node-leave',
  'node-list',
  'outbox-bury',
  'outbox-done',
  'outbox-failed',
  'outbox-join',
  'outbox-lease',
  'outbox-read',
  'peek',
  'presence-join',
  'presence-leave',
  'presence-read',
  'presence-renew',
  'presence-sweep',
  'read',
  'reclaim',
  'release',
  'remove-messages',
  'renew',
  'states',
  'sweep',
  'transfer',
  'truncate',
  'upstream-begin',
  'upstream-commit',
  'upstream-fail',
  'upstream-put',
  'upstream-read',
] as const;

export type ScriptName = (typeof SCRIPT_NAMES)[number];

/** What the scripts name in capitals: constants of the deployment, so written into the text and not sent with each call. */
export type ScriptSettings = Readonly<Record<string, string | number>>;

interface Script {
  source: string;
  sha1: string;
}

const FOLDER = new URL('./scripts/', import.meta.url);
const CAPITALS = /\b[A-Z][A-Z_]+\b/g;
const INCLUDE = /^-- include: ([\w-]+\.lua)\n/gm;

/** A script's text with each `-- include: file.lua` replaced by that file, once, in front of what needs it. */
function resolve(file: string, included: Set<string> = new Set()): string {
  const text = readFileSync(new URL(file, FOLDER), 'utf8');
  return text.replace(INCLUDE, (_line, name: string) => {
    if (included.has(name)) return '';
    included.add(name);
    return resolve(name, included);
  });
}

/** A script as Redis gets it. */
export function scriptText(name: ScriptName, settings: ScriptSettings): string {
  return resolve(`${name}.lua`).replace(CAPITALS, (word) => JSON.stringify(settings[word]) ?? word);
}

function load(name: ScriptName, settings: ScriptSettings): Script {
  const source = scriptText(name, settings);
  return { source, sha1: createHash('sha1').update(source).digest('hex') };
}

/** Runs the scripts by their hash; a server that has not seen one yet, or no longer, gets its text. */
export class Scripts {
  readonly #client: RedisClient;
  readonly #scripts: Readonly<Record<ScriptName, Script>>;

  constructor(client: RedisClient, settings: ScriptSettings) {
    this.#client = client;
    const scripts = SCRIPT_NAMES.map((name) => [name, load(name, settings)] as const);
    this.#scripts = Object.fromEntries(scripts) as Record<ScriptName, Script>;
  }

  async run(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const { source, sha1 } = this.#scripts[name];
    try {
      return await this.#client.evalsha(sha1, keys.length, ...keys, ...args);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return this.#client.eval(source, keys.length, ...keys, ...args);
    }
  }

  /** The same, with the strings of the reply as they came. */
  async runBuffer(name: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const { source, sha1 } = this.#scripts[name];
    try {
      return await this.#client.callBuffer('EVALSHA', sha1, keys.length, ...keys, ...args);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return this.#client.callBuffer('EVAL', source, keys.length, ...keys, ...args);
    }
  }
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}
