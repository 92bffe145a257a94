/** Kinds of settings. Each error text says what is allowed, so that messages and help come out of one place. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { MIN_SECRET_BYTES, parseSecrets } from '../crypto/secrets.js';
import { secureUrl } from '../lib/secure-url.js';

/** What people read about a setting. */
export interface SettingInfo {
  help: string;
  /** Of the value of a number. */
  unit?: 'ms' | 'bytes';
  /** Never shown, and not to be given as a flag, which every user of the machine could read. */
  secret?: true;
  /** Text of several lines, which the environment may take from a file as it does secrets. */
  multiline?: true;
  /** May hold a password, so that a file is a better place. */
  fromFile?: true;
  /** Can only be written in a file. */
  fileOnly?: true;
  /** How the default is described where its value says nothing. */
  defaultText?: string;
}

/** Help and units of the settings, by their schema. */
export const settingInfo = z.registry<SettingInfo>();

export function integer(min: number, max: number) {
  const error = `an integer from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
}

export function yesOrNo() {
  return z.boolean({ error: 'true or false' });
}

export function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `one of ${values.join(', ')}` });
}

export function text(pattern: RegExp, allowed: string) {
  return z.string({ error: allowed }).regex(pattern, { error: allowed });
}

/** Text that `parse` accepts; where it throws, its message tells more than `allowed`. */
export function parsed(allowed: string, parse: (value: string) => unknown) {
  return z.string({ error: allowed }).superRefine((value, context) => {
    try {
      parse(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: `${allowed} (${(error as Error).message})`, continue: true });
    }
  });
}

export function secrets() {
  return parsed(`one secret of at least ${MIN_SECRET_BYTES} bytes, or a list kid:secret,kid:secret`, parseSecrets);
}

export function listOf<T extends z.ZodType>(item: T, max: number) {
  const error = `a list of at most ${max}`;
  return z.array(item, { error }).max(max, { error });
}

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/;

export function listenAddress() {
  const error = 'an IP address or a host name of this machine';
  return z.string({ error }).refine((value) => isIP(value) !== 0 || HOST_NAME.test(value), { error });
}

function isOrigin(value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value;
}

/** @param schemes with colon; any if absent */
export function webOrigin(schemes?: readonly string[]) {
  const error =
    'an origin: scheme and host, port where it is not the usual one, nothing after it (https://app.example.com)';
  return z
    .string({ error })
    .refine((value) => isOrigin(value) && (schemes?.includes(new URL(value).protocol) ?? true), { error });
}

/** Whether `http:` is allowed at all is known only when all settings are: `conflicts.ts` checks it. */
export function secureWebUrl() {
  return parsed('an https URL without user name, password and fragment', (value) => secureUrl(value, true));
}
