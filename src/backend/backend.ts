import type { Clock } from '../lib/clock.js';
import type { Log } from '../lib/log.js';
import { HookedApplication } from './application.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { DELIVERY_PACE, EventDelivery } from './event-delivery.js';
import { HookClient } from './hook-client.js';
import type { Outbox } from './ports.js';
import type { BackendTelemetry, HookName } from './telemetry.js';

export interface BackendOptions {
  /** Each http or https; what has none is not asked, or not told. */
  authorizeUrl?: string | undefined;
  messageUrl?: string | undefined;
  eventsUrl?: string | undefined;
  /** At least one where there is a URL. Each signs, so that receivers may know either while one is replaced. */
  secrets: readonly Buffer[];
  timeoutMs: number;
  /** Of each hook. */
  concurrency: number;
  authorizeTtlMs: number;
  outbox: Outbox;
  clock: Clock;
  log: Log;
  telemetry: BackendTelemetry;
}

/** The application behind the gateway, with everything that runs for it. */
export interface Backend {
  application: HookedApplication;
  /** Begins to deliver events. */
  start(): void;
  /** Ends deliveries in good order, within the hooks' timeout. */
  close(): Promise<void>;
}

/** @throws TypeError when there is a URL and no secret */
export function openBackend(options: BackendOptions): Backend {
  const { clock, log, telemetry, outbox, concurrency, authorizeUrl, messageUrl, eventsUrl, authorizeTtlMs } = options;
  const breakers = new Map<string, CircuitBreaker>();
  const breakerOf = (name: HookName, url: URL) => {
    // Events have one of their own: a handler that fails on each of them must not keep the questions from being answered.
    const key = name === 'events' ? name : url.href;
    const known = breakers.get(key);
    if (known !== undefined) return known;
    const breaker = new CircuitBreaker(clock, (open) => {
      if (open) log.warn({ host: url.host }, 'the application does not answer; it is asked less');
      else log.info({ host: url.host }, 'the application answers again');
    });
    breakers.set(key, breaker);
    return breaker;
  };
  const hooks: HookClient[] = [];
  const hookOf = (name: HookName, text: string | undefined) => {
    if (text === undefined) return undefined;
    if (options.secrets.length === 0) throw new TypeError('calls to the application need a secret');
    const url = new URL(text);
    const { secrets, timeoutMs } = options;
    const hook = new HookClient({
      name,
      url,
      secrets,
      timeoutMs,
      concurrency,
      breaker: breakerOf(name, url),
      clock,
      telemetry,
    });
    hooks.push(hook);
    return hook;
  };
  const events = hookOf('events', eventsUrl);
  const delivery =
    events && new EventDelivery({ hook: events, outbox, concurrency, pace: DELIVERY_PACE, clock, log, telemetry });
  const application = new HookedApplication({
    authorize: hookOf('authorize', authorizeUrl),
    message: hookOf('message', messageUrl),
    outbox: events && outbox,
    authorizeTtlMs,
  });
  return {
    application,
    start: () => delivery?.start(),
    close: async () => {
      await delivery?.close();
      for (const hook of hooks) hook.close();
    },
  };
}
