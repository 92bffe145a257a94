/** What the node counts, as Prometheus metrics. The method names are those that the other parts report by. */
import { Instruments } from './instruments.js';
import { NodeMetrics } from './node-metrics.js';

/** Close codes with a series of their own; a peer may send any other. */
const OWN_SERIES = new Set([
  1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 4001, 4002, 4003, 4004, 4101, 4102, 4103,
  4104, 4201, 4202,
]);

const CLAIM_RESULTS = ['owned', 'unclaimed', 'busy', 'not_next', 'token_used', 'error'];
const REFRESH_RESULTS = ['rotated', 'current', 'replayed', 'reused', 'ended', 'unknown', 'invalid', 'error'];
const UPGRADE_REFUSALS = [
  'origin',
  'draining',
  'overloaded',
  'file_descriptors',
  'too_many_connections',
  'malformed',
  'not_found',
  'store_unavailable',
  'credential',
];

export class Metrics {
  readonly #reports: (() => void)[] = [() => this.#countTally()];
  readonly #make = new Instruments();
  readonly registry = this.#make.registry;
  readonly node = new NodeMetrics(this.#make, () => {
    for (const report of this.#reports) report();
  });
  readonly #connections = this.#make.gauge('connections', 'Open connections');
  readonly #sessions = this.#make.gauge('sessions', 'Sessions with subscribers on this node', {
    labelNames: ['state'],
  });
  readonly #leases = this.#make.gauge('leases', 'Leases that this node renews');
  readonly #claims = this.#make.counterOf(CLAIM_RESULTS, 'claims_total', 'Claims', 'result');
  readonly #claimSeconds = this.#make.histogram('claim_duration_seconds', 'How long a claim took');
  readonly #reclaims = this.#make.counterOf(
    [...CLAIM_RESULTS, 'expired', 'invalid'],
    'reclaims_total',
    'Reclaims with a reconnect token',
    'result',
  );
  readonly #reclaimSeconds = this.#make.histogram('reclaim_duration_seconds', 'How long a reclaim took');
  readonly #fenced = this.#make.counterOf(
    ['lease', 'store'],
    'fence_rejections_total',
    'Refused actions of owners that no longer are',
    'by',
  );
  readonly #swept = this.#make.counter('swept_sessions_total', 'Lapsed sessions that this node released');
  readonly #repaired = this.#make.counter('repaired_views_total', 'Sessions whose state here differed from the store');
  readonly #published = this.#make.counterOf(
    ['owner', 'application'],
    'messages_published_total',
    'Messages that the store accepted here',
    'source',
  );
  readonly #refusedMessages = this.#make.counter(
    'messages_refused_total',
    'Messages and signals that were refused',
    'code',
  );
  readonly #delivered = this.#make.counterOf(
    ['live', 'history'],
    'messages_delivered_total',
    'Messages written to subscribers, each',
    'way',
  );
  readonly #signals = this.#make.counter('signals_total', 'Signals of watchers');
  readonly #fills = this.#make.counter(
    'stream_fills_total',
    'Times that a session was read from its history to close a gap',
  );
  readonly #resets = this.#make.counterOf(
    ['true', 'false'],
    'stream_resets_total',
    'Times that subscribers were told of another history',
    'recovered',
  );
  readonly #lagged = this.#make.counter(
    'lagged_subscriptions_total',
    'Subscriptions sent to the history for reading slowly',
  );
  readonly #hooks = this.#make.counter('hook_calls_total', 'Calls of the application', 'hook', 'outcome');
  readonly #hookSeconds = this.#make.histogram('hook_duration_seconds', 'How long the application took', 'hook');
  readonly #events = this.#make.counter('events_total', 'Deliveries of events to the application', 'type', 'outcome');
  readonly #outbox = this.#make.gauge('outbox_events', 'Events of all nodes that wait for delivery, or were given up', {
    labelNames: ['state'],
    aggregator: 'max',
  });
  readonly #outboxFullest = this.#make.gauge(
    'outbox_fullest_partition_events',
    'Events that wait in the partition that has most; from 10000 on the oldest are dropped',
    { aggregator: 'max' },
  );
  readonly #redisSeconds = this.#make.histogram(
    'redis_command_duration_seconds',
    'How long a command to Redis took',
    'verb',
  );
  readonly #redisErrors = this.#make.counter('redis_errors_total', 'Failed commands to Redis', 'verb', 'class');
  readonly #redisEvents = this.#make.counterOf(
    ['ready', 'lost', 'error'],
    'redis_connection_events_total',
    'Connections to Redis made and lost',
    'event',
  );
  readonly #gaps = this.#make.counter('subscriber_gaps_total', 'Times when published events may have been missed');
  readonly #probes = this.#make.counter('probe_failures_total', 'Delivery probes that did not come back in time');
  readonly #loginsCreated = this.#make.counter('logins_created_total', 'Logins created');
  readonly #loginsEnded = this.#make.counterOf(
    ['logout', 'revoked', 'token_reuse'],
    'logins_ended_total',
    'Logins ended by a call; others lapse',
    'reason',
  );
  readonly #loginRefreshes = this.#make.counterOf(
    REFRESH_RESULTS,
    'login_refreshes_total',
    'Refresh tokens presented',
    'result',
  );
  readonly #tickets = this.#make.counterOf(
    ['issued', 'taken', 'refused'],
    'tickets_total',
    'Tickets for upgrades',
    'event',
  );
  readonly #upstreamRefreshes = this.#make.counterOf(
    ['refreshed', 'spent', 'refused', 'unused', 'unknown'],
    'upstream_refreshes_total',
    'Requests to upstream providers',
    'result',
  );
  readonly #upstreamSeconds = this.#make.histogram(
    'upstream_refresh_duration_seconds',
    'How long a request to an upstream provider took',
  );
  readonly #liveLogins = this.#make.gauge('live_logins', 'Logins with connections on this node');
  readonly #controlLag = this.#make.gauge('control_log_lag_seconds', 'How long ago revocations were last read', {
    aggregator: 'max',
  });
  readonly #frames = this.#make.counter('frames_received_total', 'Frames from clients');
  readonly #rateLimited = this.#make.counter('rate_limited_frames_total', 'Frames answered rate_limited');
  readonly #slow = this.#make.counter('slow_consumers_total', 'Connections closed because they did not read');
  readonly #refused = this.#make.counterOf(
    UPGRADE_REFUSALS,
    'refused_upgrades_total',
    'Upgrades that gave no connection',
    'reason',
  );
  readonly #closes = this.#make.counterOf(
    [...[...OWN_SERIES].map(String), 'other'],
    'closes_total',
    'Closed connections',
    'code',
  );

  /** What happens with every message since the last reading: a counter takes longer than all else that is done for it. */
  #tally = { frames: 0, owner: 0, application: 0, delivered: 0, recovered: 0 };

  get contentType(): string {
    return this.registry.contentType;
  }

  /** @param report brings gauges up to date; runs before each reading, also by prom-client for the sum of all workers */
  onRead(report: () => void): void {
    this.#reports.push(report);
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
    // A forged token never gets as far as the store.
    if (result !== 'invalid') this.#reclaimSeconds.observe(durationMs / 1000);
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
    this.#tally[source] += count;
  }

  messageRefused(code: string): void {
    this.#refusedMessages.inc({ code });
  }

  delivered(count: number): void {
    this.#tally.delivered += count;
  }

  recovered(count: number): void {
    this.#tally.recovered += count;
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
    // So that the first that is given up shows as an increase.
    this.#events.inc({ type, outcome: 'buried' }, 0);
  }

  eventBuried(type: string): void {
    this.#events.inc({ type, outcome: 'buried' });
  }

  backlog({ waiting, fullest, dead }: { waiting: number; fullest: number; dead: number }): void {
    this.#outboxFullest.set(fullest);
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
    if (ok) this.node.probed();
    else this.#probes.inc();
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
    this.#tally.frames += 1;
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

  #countTally(): void {
    const { frames, owner, application, delivered, recovered } = this.#tally;
    this.#tally = { frames: 0, owner: 0, application: 0, delivered: 0, recovered: 0 };
    this.#frames.inc(frames);
    this.#published.inc({ source: 'owner' }, owner);
    this.#published.inc({ source: 'application' }, application);
    this.#delivered.inc({ way: 'live' }, delivered);
    this.#delivered.inc({ way: 'history' }, recovered);
  }
}
