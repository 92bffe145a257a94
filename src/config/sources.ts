/** Where values of settings come from, before anything is checked. */
import { readFileSync } from 'node:fs';
import { SETTING_NAMES, type SettingName } from '../config.js';
import {
  bareSchema,
  CONFIG_ENV,
  ENV_PREFIX,
  ENV_SETTINGS,
  envName,
  FILE_NAMES,
  flagName,
  infoOf,
  TEST_ENV_PREFIX,
} from './names.js';
import { didYouMean } from './suggest.js';

export type Source = 'default' | 'file' | 'env' | 'flag';

/** One value and where it was written, in the writer's own words. */
export interface Given {
  value: unknown;
  source: Source;
  label: string;
}

export type GivenSettings = Partial<Record<SettingName, Given>>;

/** Adds what one source says to `given`, and what is wrong with the source itself to `problems`. */
interface Reading {
  given: GivenSettings;
  problems: string[];
}

/** Text becomes what a file would hold; text that cannot is left for the schema to refuse. */
function fromText(name: SettingName, text: string): unknown {
  const type = bareSchema(name).def.type;
  if (type === 'number') return /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : text;
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  if (type !== 'array') return text;
  const items = text.split(',').map((item) => item.trim());
  return items.filter((item) => item !== '');
}

export function readFile(path: string): Reading {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return { given: {}, problems: [`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`] };
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    // The message may quote the file, and so a secret.
    const offset = /position (\d+)/.exec((error as Error).message)?.[1];
    const line = offset === undefined ? '' : ` (line ${text.slice(0, Number(offset)).split('\n').length})`;
    return { given: {}, problems: [`${path}: is not valid JSON${line}`] };
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    return { given: {}, problems: [`${path}: is not a JSON object of settings`] };
  }
  const reading: Reading = { given: {}, problems: [] };
  for (const [key, value] of Object.entries(content)) {
    const name = SETTING_NAMES.find((known) => known === key);
    if (name === undefined) {
      reading.problems.push(`${path}: ${key} is not a setting.${didYouMean(key, SETTING_NAMES)}`);
    } else {
      reading.given[name] = { value, source: 'file', label: `${path}: ${key}` };
    }
  }
  return reading;
}

/** Set by Kubernetes in every pod beside a Service of the name `holdfast`. */
const SERVICE_LINK = /^HOLDFAST_(.+_)?(SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP|SCTP).*)$/;

function unknownVariable(key: string): string {
  if (SERVICE_LINK.test(key)) {
    return `${key} comes from a Kubernetes Service of the same name: set enableServiceLinks: false in the pod`;
  }
  const fileOnly = SETTING_NAMES.find((name) => infoOf(name).fileOnly && envName(name) === key);
  if (fileOnly !== undefined) return `${key}: ${fileOnly} can only be given in the file of --config`;
  const known = [...ENV_SETTINGS.map(envName), ...FILE_NAMES.map((name) => `${envName(name)}_FILE`), CONFIG_ENV];
  return `${key} is not a setting.${didYouMean(key, known)}`;
}

function readFileOf(key: string, path: string): { text: string } | { problem: string } {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return text === '' ? { problem: `${key}: ${path} is empty` } : { text };
  } catch (error) {
    return { problem: `${key}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})` };
  }
}

/** An empty variable counts as none, since that is how compose files and charts leave one out. */
export function readEnvironment(env: NodeJS.ProcessEnv): Reading {
  const reading: Reading = { given: {}, problems: [] };
  const byKey = new Map(ENV_SETTINGS.map((name) => [envName(name), name]));
  const byFileKey = new Map(FILE_NAMES.map((name) => [`${envName(name)}_FILE`, name]));
  for (const [key, text = ''] of Object.entries(env).sort(([a], [b]) => a.localeCompare(b))) {
    if (!key.startsWith(ENV_PREFIX) || key.startsWith(TEST_ENV_PREFIX) || key === CONFIG_ENV || text === '') continue;
    const name = byKey.get(key);
    const inFile = byFileKey.get(key);
    if (name !== undefined) {
      reading.given[name] = { value: fromText(name, text), source: 'env', label: key };
    } else if (inFile === undefined) {
      reading.problems.push(unknownVariable(key));
    } else if (env[envName(inFile)]) {
      reading.problems.push(`${key} and ${envName(inFile)} are both set; keep one`);
    } else {
      const read = readFileOf(key, text);
      if ('problem' in read) reading.problems.push(read.problem);
      else reading.given[inFile] = { value: read.text, source: 'env', label: key };
    }
  }
  return reading;
}

/** @param flags settings by name, as text; `true` for a flag without a value */
export function readFlags(flags: Partial<Record<SettingName, string | true>>): Reading {
  const reading: Reading = { given: {}, problems: [] };
  for (const name of SETTING_NAMES) {
    const text = flags[name];
    if (text === undefined) continue;
    const { secret, fileOnly } = infoOf(name);
    if (secret) {
      const instead = `${envName(name)} or ${envName(name)}_FILE`;
      reading.problems.push(`${flagName(name)}: secrets are not taken as flags, which others can read; set ${instead}`);
    } else if (fileOnly) {
      reading.problems.push(`${flagName(name)}: ${name} can only be given in the file of --config`);
    } else {
      reading.given[name] = {
        value: text === true ? true : fromText(name, text),
        source: 'flag',
        label: flagName(name),
      };
    }
  }
  return reading;
}
