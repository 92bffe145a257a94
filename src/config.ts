/**
 * Every setting of the gateway. Names are camelCase here and in files, `--kebab-case` as flags and
 * `HOLDFAST_SNAKE_CASE` in the environment; `config/load.ts` puts the four together.
 */
import { z } from 'zod';
import { credentialSettings } from './config/credential-settings.js';
import { hookSettings } from './config/hook-settings.js';
import { jwtSettings } from './config/jwt-settings.js';
import { limitSettings } from './config/limit-settings.js';
import { loginSettings } from './config/login-settings.js';
import { nodeSettings } from './config/node-settings.js';
import { SESSION_ENTRY_KEYS, sessionSettings } from './config/session-settings.js';
import { UPSTREAM_KEYS, upstreamSettings } from './config/upstreams.js';

/** In the order in which help and tables show them. */
export const configSchema = z.strictObject({
  ...nodeSettings,
  ...credentialSettings,
  ...jwtSettings,
  ...loginSettings,
  ...upstreamSettings,
  ...sessionSettings,
  ...hookSettings,
  ...limitSettings,
});

export type Config = z.output<typeof configSchema>;
export type SettingName = keyof Config;

export const SETTING_NAMES = Object.keys(configSchema.shape) as SettingName[];

/** What an entry of the structured settings may hold. */
export const ENTRY_KEYS = { ...SESSION_ENTRY_KEYS, upstreams: UPSTREAM_KEYS };
