import { z } from 'zod';
import { RIGHTS } from '../session/rights.js';
import { integer, listOf, oneOf, settingInfo, text, yesOrNo } from './kinds.js';
import { DAY_MS } from './units.js';

const graceMs = () => integer(500, DAY_MS);
const handoverPolicy = () => oneOf(['next_subscriber', 'oldest_watcher', 'explicit_claim']);
const pattern = (what: string) =>
  text(
    /^(?=[^\s]{1,256}$)[^*]*(?:\*+(?!\*)[^*]*){0,3}$/,
    `${what}: 1 to 256 characters without spaces, at most 3 of them *`,
  );

const namespaceSettings = z.strictObject(
  {
    graceMs: graceMs().optional(),
    handoverPolicy: handoverPolicy().optional(),
    exposePrincipals: yesOrNo().optional(),
  },
  { error: 'an object with some of graceMs, handoverPolicy, exposePrincipals' },
);

const rule = z.strictObject(
  {
    principals: pattern('a pattern of principals'),
    sessions: pattern('a pattern of session ids, in which {principal} is the own one'),
    allow: listOf(oneOf(RIGHTS), RIGHTS.length),
  },
  { error: 'an object with principals, sessions and allow' },
);

/** Who may do what with sessions, and what happens when an owner is gone. */
export const sessionSettings = {
  access: oneOf(['rules', 'open'])
    .default('rules')
    .register(settingInfo, { help: 'rules: only what a rule or a token allows; open: everything but force' }),
  rights: listOf(rule, 1_000)
    .default([])
    .register(settingInfo, { help: 'rules {principals, sessions, allow}', fileOnly: true, defaultText: 'none' }),

  graceMs: graceMs()
    .default(30_000)
    .register(settingInfo, { help: 'how long a session is held for an owner that lost its connection', unit: 'ms' }),
  handoverPolicy: handoverPolicy().default('next_subscriber').register(settingInfo, {
    help: 'who gets a session that became free: next_subscriber, oldest_watcher, explicit_claim',
  }),
  exposePrincipals: yesOrNo()
    .default(false)
    .register(settingInfo, { help: 'whether subscribers are told who owns a session' }),
  namespaces: z
    .record(
      text(/^[A-Za-z0-9._~-]{1,64}$/, 'a namespace: what stands before the first : of session ids'),
      namespaceSettings,
      {
        error: 'an object of namespaces',
      },
    )
    .default({})
    .register(settingInfo, {
      help: 'graceMs, handoverPolicy and exposePrincipals by namespace',
      fileOnly: true,
      defaultText: 'none',
    }),
};

/** What an entry of the two structured settings may hold. */
export const SESSION_ENTRY_KEYS = { rights: Object.keys(rule.shape), namespaces: Object.keys(namespaceSettings.shape) };
