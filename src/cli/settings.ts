import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import { conflicts } from '../config/conflicts.js';
import { ConfigError, type LoadedConfig, loadConfig } from '../config/load.js';
import { bareSchema, envName, flagName, infoOf, SECRET_NAMES } from '../config/names.js';
import { DAY_MS } from '../config/units.js';
import { type Config, configSchema, SETTING_NAMES, type SettingName } from '../config.js';

export type CommandDefaults = Partial<Config>;

export const SERVE_DEFAULTS: CommandDefaults = { host: '0.0.0.0' };

/** 256 bits in characters that need no quoting anywhere. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

function placeholder(name: SettingName): string {
  const { unit } = infoOf(name);
  const type = bareSchema(name).def.type;
  if (type === 'boolean') return '[true|false]';
  return unit === undefined ? ({ number: '<n>', array: '<list>' }[type as string] ?? '<value>') : `<${unit}>`;
}

function description(name: SettingName, defaults: CommandDefaults): string {
  const { help, unit = '', defaultText } = infoOf(name);
  const value = defaults[name] ?? (defaultText === undefined ? configSchema.shape[name].parse(undefined) : undefined);
  const text = value === undefined ? defaultText : `${JSON.stringify(value).replace(/["[\]]/g, '')} ${unit}`.trim();
  const days = unit === 'ms' && Number(value) >= DAY_MS ? `, ${Number(value) / DAY_MS} days` : '';
  return text === undefined ? help : `${help} (default: ${text}${days})`;
}

const FILE_ONLY = SETTING_NAMES.filter((name) => infoOf(name).fileOnly).join(', ');

const INPUTS = `
Settings: defaults < JSON file < HOLDFAST_* environment < flags. --grace-ms is HOLDFAST_GRACE_MS and graceMs in a file.
Lists are separated by commas. Only in a file: ${FILE_ONLY}. Not as flags:
${SECRET_NAMES.map((name) => `  ${`${envName(name)}[_FILE]`.padEnd(39)}${infoOf(name).help}`).join('\n')}`;

/** Gives a command `--config` and a flag for each setting, or for those that it uses. */
export function addSettings(
  command: Command,
  defaults: CommandDefaults,
  used: readonly SettingName[] = SETTING_NAMES,
): Command {
  command.option('--config <path>', 'JSON file of settings (also HOLDFAST_CONFIG)');
  for (const name of used) {
    const { secret, fileOnly } = infoOf(name);
    const option = new Option(`${flagName(name)} ${placeholder(name)}`, description(name, defaults));
    // Known, so that whoever tries them is told where they belong.
    command.addOption(secret || fileOnly ? option.hideHelp() : option);
  }
  return command.addHelpText('after', INPUTS);
}

/** @throws ConfigError */
export function readSettings(
  command: Command,
  defaults: CommandDefaults,
  used: readonly SettingName[] = SETTING_NAMES,
): LoadedConfig {
  const options = command.opts<{ config?: string } & Partial<Record<SettingName, string | true>>>();
  const flags = Object.fromEntries(used.map((name) => [name, options[name]]));
  return loadConfig({ file: options.config, env: process.env, flags, defaults });
}

/**
 * Settings that fit together.
 * @param stated whether secret and auth must have been given
 * @throws ConfigError
 */
export function usableSettings(command: Command, defaults: CommandDefaults, stated: boolean): LoadedConfig {
  const loaded = readSettings(command, defaults);
  const problems = conflicts(loaded.config, stated);
  if (problems.length > 0) throw new ConfigError(problems);
  return loaded;
}
