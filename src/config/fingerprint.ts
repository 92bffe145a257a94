import { createHash } from 'node:crypto';
import { type Config, SETTING_NAMES, type SettingName } from '../config.js';
import { masked } from './show.js';

/** What is each node's own. */
const OWN: ReadonlySet<SettingName> = new Set(['nodeId', 'host', 'port', 'internalHost', 'internalPort']);

/** The same for nodes with the same settings. Of a secret it says only that there is one. */
export function configFingerprint(config: Config): string {
  const shared = SETTING_NAMES.filter((name) => !OWN.has(name));
  const text = JSON.stringify(shared.map((name) => [name, masked(name, config[name]) ?? null]));
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
