/** What the node counts, as Prometheus metrics. The method names are those that the other parts report by. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Default metrics that are gauges named `_total`, which Prometheus reserves for counters. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** Close codes with a series of their own; a peer may send any other. */
const OWN_SERIES = new Set([
  1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 4001, 4002, 4003, 4004, 4101, 4102, 4103,
  4104, 4201, 4202,
]);

export class Metrics {
  readonly registry = new Registry();
  readonly #connections = this.#gauge('connections', 'Open connections');
  readonly #sessions = this.#gauge('sessions', 'Sessions with subscribers on this node', 'state');
  readonly #leases = this.#gauge('leases', 'Leases that this node renews');
  readonly #claims = this.#counter('claims_total', 'Claims', 'result');
  readonly #claimSeconds = this.#histogram('claim_duration_seconds', 'How long a claim took');
  readonly #reclaims = this.#counter('reclaims_total', 'Reclaims with a reconnect token', 'result');
  readonly #reclaimSeconds = this.#histogram('reclaim_duration_seconds', 'How long a reclaim took');
  readonly #fenced = this.#counter('fence_rejections_total', 'Refused actions of owners that no longer are', 'by');
  readonly #swept = this.#counter('swept_sessions_total', 'Lapsed sessions that this node released');
  readonly #repaired = this.#counter('repaired_views_total', 'Sessions whose state here differed from the store');
  readonly #published = this.#counter('messages_published_total', 'Messages that the store accepted here', 'source');
  readonly #refusedMessages = this.#counter('messages_refused_total', 'Messages and signals that were refused', 'code');
  readonly #delivered = this.#counter('messages_delivered_total', 'Messages written to subscribers, each', 'way');
  readonly #signals = this.#counter('signals_total', 'Signals of watchers');
  readonly #fills = this.#counter(
    'stream_fills_total',
    'Times that a session was read from its history to close a gap',
  );
  readonly #resets = this.#counter(
    'stream_resets_total',
    'Times that subscribers were told of another history',
    'recovered',
  );
  readonly #lagged = this.#counter(
    'lagged_subscriptions_total',
    'Subscriptions sent to the history for reading slowly',
  );
  readonly #hooks = this.#counter('hook_calls_total', 'Calls of the application', 'hook', 'outcome');
  readonly #hookSeconds = this.#histogram('hook_duration_seconds', 'How long the application took', 'hook');
  readonly #events = this.#counter('events_total', 'Deliveries of events to the application', 'type', 'outcome');
  readonly #outbox = this.#gauge('outbox_events', 'Events that wait for their delivery, or were given up', 'state');
  readonly #redisSeconds = this.#histogram(
    'redis_command_duration_seconds',
    'How long a command to Redis took',
    'verb',
  );
  readonly #redisErrors = this.#counter('redis_errors_total', 'Failed commands to Redis', 'verb', 'class');
  readonly #redisEvents = this.#counter('redis_connection_events_total', 'Connections to Redis made and lost', 'event');
  readonly #gaps = this.#counter('subscriber_gaps_total', 'Times when published events may have been missed');
  readonly #probes = this.#counter('probe_failures_total', 'Delivery probes that did not come back in time');
  readonly #loginsCreated = this.#counter('logins_created_total', 'Logins created');
  readonly #loginsEnded = this.#counter('logins_ended_total', 'Logins ended by a call; others lapse', 'reason');
  readonly #loginRefreshes = this.#counter('login_refreshes_total', 'Refresh tokens presented', 'result');
  readonly #tickets = this.#counter('tickets_total', 'Tickets for upgrades', 'event');
  readonly #upstreamRefreshes = this.#counter('upstream_refreshes_total', 'Requests to upstream providers', 'result');
  readonly #upstreamSeconds = this.#histogram(
    'upstream_refresh_duration_seconds',
    'How long a request to an upstream provider took',
  );
  readonly #liveLogins = this.#gauge('live_logins', 'Logins with connections on this node');
  readonly #controlLag = this.#gauge('control_log_lag_seconds', 'How long ago revocations were last read');
  readonly #frames = this.#counter('frames_received_total', 'Frames from clients');
  readonly #rateLimited = this.#counter('rate_limited_frames_total', 'Frames answered rate_limited');
  readonly #slow = this.#counter('slow_consumers_total', 'Connections closed because they did not read');
  readonly #refused = this.#counter('refused_upgrades_total', 'Upgrades that gave no connection', 'reason');
  readonly #closes = this.#counter('closes_total', 'Closed connections', 'code');

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED) this.registry.removeSingleMetric(name);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  render(): Promise<string> {
    return this.registry.metrics();
  }

  claimed(result: string, durationMs: number): void {
    this.#claims.inc({ result });
    this.#claimSeconds.observe(durationMs / 1000);
  }

  reclaimed(result: string, durationMs: number): void {
    this.#reclaims.inc({ result });
    this.#reclaimSeconds.observe(durationMs / 1000);
  }

  fenced(by: 'lease' | 'store'): void {
    this.#fenced.inc({ by });
  }

  counts(sessions: { free: number; owned: number; held: number }, leases: number): void {
    for (const state of ['free', 'owned', 'held'] as const) this.#sessions.set({ state }, sessions[state]);
    this.#leases.set(leases);
  }

  swept(released: number): void {
    this.#swept.inc(released);
  }

  repaired(count: number): void {
    this.#repaired.inc(count);
  }

  published(source: 'owner' | 'application', count: number): void {
    this.#published.inc({ source }, count);
  }

  messageRefused(code: string): void {
    this.#refusedMessages.inc({ code });
  }

  delivered(count: number): void {
    this.#delivered.inc({ way: 'live' }, count);
  }

  recovered(count: number): void {
    this.#delivered.inc({ way: 'history' }, count);
  }

  signalled(): void {
    this.#signals.inc();
  }

  filled(): void {
    this.#fills.inc();
  }

  reset(recovered: boolean): void {
    this.#resets.inc({ recovered: String(recovered) });
  }

  lagged(): void {
    this.#lagged.inc();
  }

  hook(hook: string, outcome: string, durationMs: number): void {
    this.#hooks.inc({ hook, outcome });
    if (outcome !== 'skipped') this.#hookSeconds.observe({ hook }, durationMs / 1000);
  }

  eventDelivered(type: string): void {
    this.#events.inc({ type, outcome: 'delivered' });
  }

  eventRetried(type: string): void {
    this.#events.inc({ type, outcome: 'retried' });
  }

  eventBuried(type: string): void {
    this.#events.inc({ type, outcome: 'buried' });
  }

  backlog(waiting: number, dead: number): void {
    this.#outbox.set({ state: 'waiting' }, waiting);
    this.#outbox.set({ state: 'dead' }, dead);
  }

  command(verb: string, result: string, durationMs: number): void {
    this.#redisSeconds.observe({ verb }, durationMs / 1000);
    if (result !== 'ok') this.#redisErrors.inc({ verb, class: result });
  }

  connection(event: 'ready' | 'lost' | 'error'): void {
    this.#redisEvents.inc({ event });
  }

  gap(): void {
    this.#gaps.inc();
  }

  probe(ok: boolean): void {
    if (!ok) this.#probes.inc();
  }

  loginCreated(): void {
    this.#loginsCreated.inc();
  }

  loginEnded(reason: string): void {
    this.#loginsEnded.inc({ reason });
  }

  loginRefreshed(result: string): void {
    this.#loginRefreshes.inc({ result });
  }

  ticket(event: 'issued' | 'taken' | 'refused'): void {
    this.#tickets.inc({ event });
  }

  upstreamRefreshed(result: string, durationMs: number): void {
    this.#upstreamRefreshes.inc({ result });
    this.#upstreamSeconds.observe(durationMs / 1000);
  }

  liveLogins(count: number, controlLagMs: number): void {
    this.#liveLogins.set(count);
    this.#controlLag.set(controlLagMs / 1000);
  }

  connections(count: number): void {
    this.#connections.set(count);
  }

  refused(reason: string): void {
    this.#refused.inc({ reason });
  }

  frameReceived(): void {
    this.#frames.inc();
  }

  rateLimited(): void {
    this.#rateLimited.inc();
  }

  slowConsumer(): void {
    this.#slow.inc();
  }

  closed(code: number): void {
    this.#closes.inc({ code: OWN_SERIES.has(code) ? String(code) : 'other' });
  }

  #counter(name: string, help: string, ...labelNames: string[]): Counter {
    return new Counter({ name: `holdfast_${name}`, help, labelNames, registers: [this.registry] });
  }

  #gauge(name: string, help: string, ...labelNames: string[]): Gauge {
    return new Gauge({ name: `holdfast_${name}`, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, ...labelNames: string[]): Histogram {
    return new Histogram({
      name: `holdfast_${name}`,
      help,
      labelNames,
      buckets: SECONDS,
      registers: [this.registry],
    });
  }
}
