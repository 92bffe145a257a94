import { z } from 'zod';
import { RIGHTS } from '../session/rights.js';
import { integer, listOf, oneOf, settingInfo, text, yesOrNo } from './kinds.js';
import { DAY_MS, MIB } from './units.js';

const graceMs = () => integer(500, DAY_MS);
const handoverPolicy = () => oneOf(['next_subscriber', 'oldest_watcher', 'explicit_claim']);
const pattern = (what: string) =>
  text(
    /^(?=[^\s]{1,256}$)[^*]*(?:\*+(?!\*)[^*]*){0,3}$/,
    `${what}: 1 to 256 characters without spaces, at most 3 of them *`,
  );

const historyCount = () => integer(0, 1_000_000);
const historyBytes = () => integer(1_024, 1_024 * MIB);
const historyAgeMs = () => integer(1_000, 30 * DAY_MS);
const historyWhenFull = () => oneOf(['drop_oldest', 'refuse']);
/** Much less than what may wait for one session, what a request to publish may have, and what receivers of hooks take. */
const maxMessageBytes = () => integer(1_024, MIB);
const sendsPerSecond = () => integer(0, 100_000);

const namespaceRule = z.strictObject(
  {
    principals: pattern('a pattern of principals'),
    allow: listOf(oneOf(RIGHTS), RIGHTS.length),
  },
  { error: 'an object with principals and allow' },
);

const namespaceShape = {
  graceMs: graceMs().optional(),
  handoverPolicy: handoverPolicy().optional(),
  exposePrincipals: yesOrNo().optional(),
  historyCount: historyCount().optional(),
  historyBytes: historyBytes().optional(),
  historyAgeMs: historyAgeMs().optional(),
  historyWhenFull: historyWhenFull().optional(),
  maxMessageBytes: maxMessageBytes().optional(),
  sendsPerSecond: sendsPerSecond().optional(),
  presence: yesOrNo().optional(),
  /** Whether the application is asked, where there are URLs for it. */
  authorizeHook: yesOrNo().optional(),
  messageHook: yesOrNo().optional(),
  rights: listOf(namespaceRule, 1_000).optional(),
};

const namespaceSettings = z.strictObject(namespaceShape, {
  error: `an object with some of ${Object.keys(namespaceShape).join(', ')}`,
});

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
    .register(settingInfo, { help: 'whether subscribers are told who owns a session, sends and is there' }),
  historyCount: historyCount()
    .default(1_000)
    .register(settingInfo, { help: 'messages of a session that are kept for those who come back; 0: none' }),
  historyBytes: historyBytes().default(MIB).register(settingInfo, { help: 'how much they may take up', unit: 'bytes' }),
  historyAgeMs: historyAgeMs().default(3_600_000).register(settingInfo, { help: 'how long they are kept', unit: 'ms' }),
  historyWhenFull: historyWhenFull()
    .default('drop_oldest')
    .register(settingInfo, { help: 'what happens when there is no more room: drop_oldest, or refuse the new one' }),
  maxMessageBytes: maxMessageBytes()
    .default(65_536)
    .register(settingInfo, { help: 'largest message that is published', unit: 'bytes' }),
  sendsPerSecond: sendsPerSecond()
    .default(0)
    .register(settingInfo, { help: 'messages of the owner of one session; 0: as many as its connection may send' }),
  presence: yesOrNo().default(false).register(settingInfo, { help: 'whether subscribers are told who else is there' }),
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
      help: 'by namespace: the settings above from graceMs on, authorizeHook, messageHook, rights',
      fileOnly: true,
      defaultText: 'none',
    }),
};

/** What an entry of the two structured settings may hold. */
export const SESSION_ENTRY_KEYS = { rights: Object.keys(rule.shape), namespaces: Object.keys(namespaceSettings.shape) };
