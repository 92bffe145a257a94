import type { z } from 'zod';
import { type Config, configSchema, ENTRY_KEYS, SETTING_NAMES, type SettingName } from '../config.js';
import { CONFIG_ENV } from './names.js';
import { shown } from './show.js';
import { type Given, type GivenSettings, readEnvironment, readFile, readFlags, type Source } from './sources.js';
import { didYouMean } from './suggest.js';

export interface ConfigInput {
  /** Path of a JSON file; `HOLDFAST_CONFIG` if absent. */
  file?: string | undefined;
  env: NodeJS.ProcessEnv;
  /** Settings by name, as text; `true` for a flag without a value. */
  flags: Partial<Record<SettingName, string | true>>;
  /** The command's own defaults, which win over the schema's. */
  defaults?: Partial<Config>;
}

export interface LoadedConfig {
  config: Config;
  sources: Record<SettingName, Source>;
}

/** Everything that is wrong with the settings, one line each, without any secret. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
}

function explain(name: SettingName, given: Given, issue: z.core.$ZodIssue): string[] {
  const label = given.label + pathText(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = name in ENTRY_KEYS ? ENTRY_KEYS[name as keyof typeof ENTRY_KEYS] : [];
    return issue.keys.map((key) => `${label}: ${key} is not known there.${didYouMean(key, known)}`);
  }
  if (issue.code === 'invalid_key') {
    return [`${label}: the key is not allowed; allowed: ${issue.issues[0]?.message}`];
  }
  const value = at(given.value, issue.path);
  const links = given.source === 'env' && typeof value === 'string' && value.startsWith('tcp://');
  const hint = links ? '; Kubernetes sets it for a Service of the name holdfast: enableServiceLinks: false' : '';
  const is = value === undefined ? 'is missing' : `${shown(name, value, issue.path)} is not allowed`;
  return [`${label}: ${is}; allowed: ${issue.message}${hint}`];
}

function problemsOf(given: GivenSettings, error: z.ZodError): string[] {
  const lines = error.issues.flatMap((issue) => {
    const [name, ...path] = issue.path as [SettingName, ...PropertyKey[]];
    const source = given[name];
    return source === undefined ? [issue.message] : explain(name, source, { ...issue, path });
  });
  return [...new Set(lines)];
}

/**
 * Puts the settings together: defaults < file < environment < flags.
 * @throws ConfigError with all that is wrong with them
 */
export function loadConfig({ file, env, flags, defaults = {} }: ConfigInput): LoadedConfig {
  const path = file ?? (env[CONFIG_ENV] || undefined);
  const readings = [...(path === undefined ? [] : [readFile(path)]), readEnvironment(env), readFlags(flags)];
  const given: GivenSettings = Object.assign({}, ...readings.map((reading) => reading.given));
  const values = Object.fromEntries(Object.entries(given).map(([name, { value }]) => [name, value]));
  const result = configSchema.safeParse({ ...defaults, ...values });
  const problems = readings.flatMap((reading) => reading.problems);
  if (!result.success) problems.push(...problemsOf(given, result.error));
  if (problems.length > 0 || !result.success) throw new ConfigError(problems);
  const sources = Object.fromEntries(SETTING_NAMES.map((name) => [name, given[name]?.source ?? 'default']));
  return { config: result.data, sources: sources as Record<SettingName, Source> };
}
