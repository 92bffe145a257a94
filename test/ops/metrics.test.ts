import { spawnSync } from 'node:child_process';
import { AggregatorRegistry } from 'prom-client';
import { expect, it } from 'vitest';
import type { BackendTelemetry } from '../../src/backend/telemetry.js';
import type { LoginTelemetry } from '../../src/login/telemetry.js';
import { Metrics } from '../../src/ops/metrics.js';
import type { SessionTelemetry } from '../../src/session/telemetry.js';
import type { StoreTelemetry } from '../../src/store/redis/telemetry.js';
import type { TransportTelemetry } from '../../src/transport/telemetry.js';

/** Also the proof that the class fits where it is used. */
function exercise(metrics: Metrics): void {
  const session: SessionTelemetry = metrics;
  session.claimed('owned', 12);
  session.reclaimed('expired', 3_000);
  session.fenced('store');
  session.counts({ free: 1, owned: 2, held: 3 }, 2);
  session.swept(4);
  session.repaired(5);
  session.published('owner', 8);
  session.messageRefused('rate_limited');
  session.signalled();
  session.delivered(9);
  session.recovered(10);
  session.filled();
  session.reset(false);
  session.lagged();
  const backend: BackendTelemetry = metrics;
  backend.hook('authorize', 'answered', 20);
  backend.hook('events', 'skipped', 0);
  backend.eventDelivered('session.owned');
  backend.eventRetried('session.held');
  backend.eventBuried('session.idle');
  backend.backlog({ waiting: 11, fullest: 7, dead: 12 });
  const login: LoginTelemetry = metrics;
  login.loginCreated();
  login.loginEnded('logout');
  login.loginRefreshed('rotated');
  login.ticket('refused');
  login.upstreamRefreshed('spent', 400);
  login.liveLogins(6, 500);
  const store: StoreTelemetry = metrics;
  store.command('claim', 'ok', 1);
  store.command('claim', 'unknown', 1_000);
  store.connection('lost');
  store.gap();
  store.probe(true);
  store.probe(false);
  const transport: TransportTelemetry = metrics;
  transport.connections(7);
  transport.refused('origin');
  transport.frameReceived();
  transport.rateLimited();
  transport.slowConsumer();
  transport.closed(4103);
  transport.closed(4999);
  metrics.node.describe({ version: '1.2.3', maxConnections: 50_000, maxRssBytes: 0 });
  metrics.node.status({
    reasons: ['draining', 'overloaded'],
    degraded: ['secrets_differ'],
    store: { reachable: true },
    pubsub: { healthy: false },
    clock: { ahead_ms: -1_500 },
    drain: { state: 'draining', left: 13 },
  });
}

it('counts what is reported', async () => {
  const metrics = new Metrics();
  exercise(metrics);
  const lines = (await metrics.render()).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'holdfast_connections 7',
      'holdfast_sessions{state="held"} 3',
      'holdfast_leases 2',
      'holdfast_claims_total{result="owned"} 1',
      'holdfast_reclaims_total{result="expired"} 1',
      'holdfast_reclaim_duration_seconds_sum 3',
      'holdfast_claim_duration_seconds_bucket{le="0.025"} 1',
      'holdfast_fence_rejections_total{by="store"} 1',
      'holdfast_swept_sessions_total 4',
      'holdfast_repaired_views_total 5',
      'holdfast_redis_command_duration_seconds_count{verb="claim"} 2',
      'holdfast_redis_errors_total{verb="claim",class="unknown"} 1',
      'holdfast_redis_connection_events_total{event="lost"} 1',
      'holdfast_subscriber_gaps_total 1',
      'holdfast_probe_failures_total 1',
      'holdfast_logins_created_total 1',
      'holdfast_logins_ended_total{reason="logout"} 1',
      'holdfast_login_refreshes_total{result="rotated"} 1',
      'holdfast_tickets_total{event="refused"} 1',
      'holdfast_upstream_refreshes_total{result="spent"} 1',
      'holdfast_upstream_refresh_duration_seconds_sum 0.4',
      'holdfast_live_logins 6',
      'holdfast_control_log_lag_seconds 0.5',
      'holdfast_frames_received_total 1',
      'holdfast_rate_limited_frames_total 1',
      'holdfast_slow_consumers_total 1',
      'holdfast_refused_upgrades_total{reason="origin"} 1',
      'holdfast_closes_total{code="4103"} 1',
      'holdfast_closes_total{code="other"} 1',
      'holdfast_messages_published_total{source="owner"} 8',
      'holdfast_messages_refused_total{code="rate_limited"} 1',
      'holdfast_signals_total 1',
      'holdfast_messages_delivered_total{way="live"} 9',
      'holdfast_messages_delivered_total{way="history"} 10',
      'holdfast_stream_fills_total 1',
      'holdfast_stream_resets_total{recovered="false"} 1',
      'holdfast_lagged_subscriptions_total 1',
      'holdfast_hook_calls_total{hook="events",outcome="skipped"} 1',
      'holdfast_hook_duration_seconds_count{hook="authorize"} 1',
      'holdfast_events_total{type="session.held",outcome="buried"} 0',
      'holdfast_events_total{type="session.idle",outcome="buried"} 1',
      'holdfast_outbox_events{state="waiting"} 11',
      'holdfast_build_info{version="1.2.3"} 1',
      'holdfast_max_connections 50000',
      'holdfast_max_resident_memory_bytes 0',
      'holdfast_ready 0',
      'holdfast_not_ready{reason="overloaded"} 1',
      'holdfast_store_reachable 1',
      'holdfast_pubsub_healthy 0',
      'holdfast_secrets_differ 1',
      'holdfast_clock_offset_seconds -1.5',
      'holdfast_outbox_fullest_partition_events 7',
      'holdfast_draining 1',
      'holdfast_drain_connections 13',
    ]),
  );
});

it('has what can happen from the start, so that the first time shows as an increase', async () => {
  const lines = (await new Metrics().render()).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'holdfast_closes_total{code="1006"} 0',
      'holdfast_closes_total{code="other"} 0',
      'holdfast_login_refreshes_total{result="invalid"} 0',
      'holdfast_logins_ended_total{reason="token_reuse"} 0',
      'holdfast_messages_delivered_total{way="history"} 0',
      'holdfast_refused_upgrades_total{reason="origin"} 0',
      'holdfast_tickets_total{event="refused"} 0',
      'holdfast_upstream_refreshes_total{result="spent"} 0',
    ]),
  );
});

it('tells why it is not ready only while it is not', async () => {
  const metrics = new Metrics();
  exercise(metrics);
  metrics.node.status({
    reasons: [],
    degraded: [],
    store: { reachable: false },
    pubsub: { healthy: true },
    drain: { state: 'none', left: 0 },
  });
  const text = await metrics.render();
  expect(text).not.toContain('holdfast_not_ready{');
  expect(text).toMatch(/^holdfast_ready 1$/m);
});

it('is brought up to date before it is read, also by prom-client for the sum of all workers', async () => {
  const metrics = new Metrics();
  metrics.onRead(() => metrics.counts({ free: 0, owned: 4, held: 0 }, 4));
  metrics.frameReceived();
  const workers = await Promise.all([metrics, metrics].map(({ registry }) => registry.getMetricsAsJSON()));
  const text = await AggregatorRegistry.aggregate(workers).metrics();
  expect(text).toContain('holdfast_leases 8\n');
  expect(text).toContain('holdfast_frames_received_total 2\n');
});

it("of several workers adds up what is each one's own, and not what all see alike", async () => {
  const workers = [new Metrics(), new Metrics()];
  for (const worker of workers) exercise(worker);
  workers[1]?.node.status({
    reasons: [],
    degraded: [],
    store: { reachable: false },
    pubsub: { healthy: false },
    drain: { state: 'none', left: 0 },
  });
  const read = await Promise.all(workers.map(({ registry }) => registry.getMetricsAsJSON()));
  const lines = (await AggregatorRegistry.aggregate(read).metrics()).split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'holdfast_connections 14',
      'holdfast_outbox_events{state="waiting"} 11',
      'holdfast_build_info{version="1.2.3"} 1',
      'holdfast_ready 1',
      'holdfast_store_reachable 0',
      'holdfast_control_log_lag_seconds 0.5',
    ]),
  );
});

it('knows the age of a delivery probe once there was one', async () => {
  const metrics = new Metrics();
  expect(await metrics.render()).not.toMatch(/^holdfast_probe_age_seconds /m);
  exercise(metrics);
  expect(await metrics.render()).toMatch(/^holdfast_probe_age_seconds \d+(\.\d+)?$/m);
});

it('takes no time for a reclaim that the store was not asked about', async () => {
  const metrics = new Metrics();
  metrics.reclaimed('invalid', 0);
  expect(await metrics.render()).toContain('holdfast_reclaim_duration_seconds_count 0\n');
});

it('names metrics as Prometheus asks', async () => {
  const metrics = new Metrics();
  exercise(metrics);
  const types = (await metrics.render()).matchAll(/^# TYPE (\S+) (\S+)$/gm);
  for (const [, name = '', type] of types) {
    expect(name).toMatch(/^(holdfast|process|nodejs)_[a-z_0-9]+$/);
    if (name.startsWith('nodejs_version')) continue;
    expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
  }
});

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

const mayBeMissing = process.env['CI'] !== 'true';

it.skipIf(!hasPromtool && mayBeMissing)(
  'passes promtool check metrics (skipped where promtool is not on the PATH)',
  async () => {
    const metrics = new Metrics();
    exercise(metrics);
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: await metrics.render() });
    expect([status, String(stdout), String(stderr)]).toEqual([0, '', '']);
  },
);
