import { configSchema, SETTING_NAMES, type SettingName } from '../config.js';
import { type SettingInfo, settingInfo } from './kinds.js';

export const ENV_PREFIX = 'HOLDFAST_';

/** Read by the test suite, which may start a gateway with the same environment. */
export const TEST_ENV_PREFIX = 'HOLDFAST_TEST_';

/** The environment's way to say `--config`. */
export const CONFIG_ENV = 'HOLDFAST_CONFIG';

function words(name: string, separator: string): string {
  return name.replace(/[A-Z]/g, (letter) => `${separator}${letter.toLowerCase()}`);
}

/** `graceMs` → `HOLDFAST_GRACE_MS` */
export function envName(name: SettingName): string {
  return ENV_PREFIX + words(name, '_').toUpperCase();
}

/** `graceMs` → `--grace-ms` */
export function flagName(name: SettingName): string {
  return `--${words(name, '-')}`;
}

export function infoOf(name: SettingName): SettingInfo {
  const info = settingInfo.get(configSchema.shape[name]);
  if (info === undefined) throw new TypeError(`setting ${name} has no help`);
  return info;
}

/** The setting's schema without what supplies a default. */
export function bareSchema(name: SettingName) {
  const schema = configSchema.shape[name];
  return 'unwrap' in schema ? schema.unwrap() : schema;
}

/** What the environment may also take from a file, which `…_FILE` names. */
export const FILE_NAMES = SETTING_NAMES.filter((name) => {
  const { secret, multiline, fromFile } = infoOf(name);
  return secret || multiline || fromFile;
});
export const SECRET_NAMES = SETTING_NAMES.filter((name) => infoOf(name).secret);
export const ENV_SETTINGS = SETTING_NAMES.filter((name) => !infoOf(name).fileOnly);
