import { trustedProxies } from '../transport/addresses.js';
import { integer, listOf, parsed, settingInfo, webOrigin, yesOrNo } from './kinds.js';
import { DAY_MS, MIB } from './units.js';

/** To clients a connection that lasts 5 s is a success; they would back off after shorter ones, and lose their sessions. */
const MIN_AGE_MS = 10_000;

/** Who is let in, and how much each connection may take. */
export const limitSettings = {
  allowedOrigins: listOf(webOrigin(), 1_000)
    .default([])
    .register(settingInfo, { help: 'origins of the web pages that may connect', defaultText: 'none' }),
  trustedProxies: listOf(
    parsed('an IP address or a CIDR block', (proxy) => trustedProxies([proxy])),
    1_000,
  )
    .default([])
    .register(settingInfo, {
      help: 'addresses and CIDR blocks whose X-Forwarded-For is believed',
      defaultText: 'none',
    }),
  maxConnections: integer(1, 1_000_000).default(50_000).register(settingInfo, { help: 'connections of this node' }),
  maxConnectionsPerAddress: integer(1, 1_000_000)
    .default(1_000)
    .register(settingInfo, { help: 'connections of one IPv4 address or IPv6 /64' }),
  maxSubscriptions: integer(1, 10_000)
    .default(128)
    .register(settingInfo, { help: 'sessions that one connection may follow' }),
  maxPayloadBytes: integer(1_024, 16 * MIB)
    .default(65_536)
    .register(settingInfo, { help: 'largest frame that is taken', unit: 'bytes' }),
  messagesPerSecond: integer(1, 100_000)
    .default(50)
    .register(settingInfo, { help: 'frames of one connection, on average' }),
  messageBurst: integer(1, 1_000_000).default(200).register(settingInfo, { help: 'frames of one connection at once' }),
  pingIntervalMs: integer(1_000, 3_600_000)
    .default(25_000)
    .register(settingInfo, { help: 'silence after which a connection is pinged', unit: 'ms' }),
  pongTimeoutMs: integer(100, 600_000)
    .default(8_000)
    .register(settingInfo, { help: 'how long a ping may stay unanswered', unit: 'ms' }),
  sendQueueBytes: integer(16_384, 1_024 * MIB)
    .default(MIB)
    .register(settingInfo, { help: 'unsent data beyond which a connection is closed as too slow', unit: 'bytes' }),
  compressAboveBytes: integer(0, 16 * MIB)
    .default(0)
    .register(settingInfo, {
      help: 'messages above this are compressed for clients that offer it; 0: no compression',
      unit: 'bytes',
    }),
  drainMs: integer(100, 3_600_000)
    .default(25_000)
    .register(settingInfo, { help: 'how long a node that was told to stop may take to hand over', unit: 'ms' }),
  drainRate: integer(0, 1_000_000)
    .default(0)
    .register(settingInfo, { help: 'connections that a drain closes a second; 0: as many as spread over its time' }),
  maxConnectionAgeMs: integer(0, 30 * DAY_MS)
    .refine((ms) => ms < 1 || ms >= MIN_AGE_MS, { error: `0, or an integer from ${MIN_AGE_MS} to ${30 * DAY_MS}` })
    .default(0)
    .register(settingInfo, {
      help: 'age, give or take a tenth, at which a connection is sent elsewhere; 0: never',
      unit: 'ms',
    }),
  maxRssBytes: integer(0, Number.MAX_SAFE_INTEGER).default(0).register(settingInfo, {
    help: 'resident memory above which no connection is taken',
    unit: 'bytes',
    defaultText: 'nine tenths of what the container may have',
  }),
  unreadyWithoutStore: yesOrNo()
    .default(false)
    .register(settingInfo, { help: 'whether a node is not ready too when no store answers anybody' }),
};
