import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
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
    ]),
  );
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
