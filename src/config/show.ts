import type { SettingName } from '../config.js';
import { infoOf } from './names.js';

const HIDDEN = '(hidden)';
const MAX_SHOWN = 120;

/** Whatever stands before the last @ of the part that names the server. */
const URL_CREDENTIALS = /\/\/.*@|^[^/]*@/s;
const URL_QUERY = /\?.*$/s;

function withoutCredentials(url: string): string {
  return url.replace(URL_CREDENTIALS, '//(hidden)@').replace(URL_QUERY, '?(hidden)');
}

/** What is a URL, by its name, and what is a secret within a structured setting. */
const URL_NAME = /Url$|^(i|upstreamI)ssuer$/;
const SECRET_KEY = 'clientSecret';

function maskedPart(name: string, value: unknown): unknown {
  if (name === SECRET_KEY) return HIDDEN;
  if (typeof value === 'string') return URL_NAME.test(name) ? withoutCredentials(value) : value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, maskedPart(key, part)]));
}

/** A value without what nobody should see: secrets, and the credentials in URLs. */
export function masked(name: SettingName, value: unknown): unknown {
  if (value === undefined) return undefined;
  return infoOf(name).secret ? HIDDEN : maskedPart(name, value);
}

/**
 * A value that is refused as JSON, cut where it is long.
 * @param path where in the setting it stands
 */
export function shown(name: SettingName, value: unknown, path: readonly PropertyKey[] = []): string {
  const { secret, multiline } = infoOf(name);
  // Instead of a public key it may be a private one, and any text may stand where a provider should.
  const misplaced = name === 'upstreams' && path.length < 2 && typeof value === 'string';
  if (secret || multiline || misplaced) return HIDDEN;
  const json = JSON.stringify(maskedPart(String(path.at(-1) ?? name), value)) ?? 'nothing';
  return json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN)}…` : json;
}
