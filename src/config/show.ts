import type { SettingName } from '../config.js';
import { infoOf } from './names.js';

const HIDDEN = '(hidden)';
const MAX_SHOWN = 120;

/** Whatever stands before the last @ of the part that names the server. */
const URL_CREDENTIALS = /\/\/.*@|^[^/]*@/s;
const URL_QUERY = /\?.*$/s;

/** A value without what nobody should see: secrets, and the credentials in URLs. */
export function masked(name: SettingName, value: unknown): unknown {
  if (value === undefined) return undefined;
  if (infoOf(name).secret) return HIDDEN;
  if (name !== 'redisUrl' || typeof value !== 'string') return value;
  return value.replace(URL_CREDENTIALS, '//(hidden)@').replace(URL_QUERY, '?(hidden)');
}

/** A value as JSON, cut where it is long. */
export function shown(name: SettingName, value: unknown): string {
  if (infoOf(name).secret) return HIDDEN;
  const json = JSON.stringify(masked(name, value)) ?? 'nothing';
  return json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN)}…` : json;
}
