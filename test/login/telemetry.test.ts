import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { LiveLogins } from '../../src/login/live-logins.js';
import type { LoginTelemetry } from '../../src/login/telemetry.js';
import { createLogin } from '../support/create-login.js';
import { FakeClock } from '../support/fake-clock.js';
import { FakeControlLog } from '../support/fake-control-log.js';
import { silent } from '../support/silent.js';
import { StrictProvider } from '../support/strict-provider.js';
import { appJwt, deployment, IDLE_MS, REUSE_MS } from './logins-harness.js';
import { memoryParts, providerAt, upstreamOf } from './upstream-harness.js';

/** Writes down what is reported, as `name value`. */
class Counted implements LoginTelemetry {
  readonly lines: string[] = [];

  loginCreated = () => void this.lines.push('created');
  loginEnded = (reason: string) => void this.lines.push(`ended ${reason}`);
  loginRefreshed = (result: string) => void this.lines.push(`refreshed ${result}`);
  ticket = (event: string) => void this.lines.push(`ticket ${event}`);
  upstreamRefreshed = (result: string, durationMs: number) =>
    void this.lines.push(`upstream ${result} ${durationMs > 0}`);
  liveLogins = (count: number, lagMs: number) => void this.lines.push(`live ${count}, lag ${lagMs}`);
}

describe('what is counted', () => {
  function counting() {
    const parts = deployment();
    const telemetry = new Counted();
    return { ...parts, logins: parts.node({ telemetry }), telemetry, since: () => telemetry.lines.splice(0) };
  }

  it('is a login once, however often its request comes, and its end once', async () => {
    const { logins, since } = counting();
    const request = { principal: 'alice', idempotencyKey: 'k' };
    const { login_id, refresh_token } = await logins.create(request);
    await logins.create(request);
    await logins.revoke(login_id);
    await logins.revoke(login_id);
    await logins.logout({ kind: 'refresh_token', token: refresh_token });
    expect(since()).toEqual(['created', 'ended revoked']);
  });

  it('is every refresh by its result, and no token that is only looked at', async () => {
    const { clock, store, logins, since } = counting();
    const { refresh_token: first } = await logins.create({ principal: 'alice' });
    await logins.me({ kind: 'refresh_token', token: first });
    await logins.refresh(first);
    clock.advance(REUSE_MS);
    const { refresh_token: second } = await logins.refresh(first);
    await logins.refresh(first);
    await logins.refresh(second);
    await logins.refresh(`${second}x`).catch(() => {});
    store.present = () => Promise.reject(new Error('away'));
    await logins.refresh(second).catch(() => {});
    Reflect.deleteProperty(store, 'present');
    clock.advance(REUSE_MS);
    await logins.refresh(first).catch(() => {});
    await logins.refresh(first).catch(() => {});
    const results = ['current', 'rotated', 'replayed', 'current', 'invalid', 'error', 'reused'];
    expect(since()).toEqual([
      'created',
      ...results.map((result) => `refreshed ${result}`),
      'ended token_reuse',
      'refreshed ended',
    ]);
  });

  it('is every ticket', async () => {
    const { clock, logins, since } = counting();
    const { access_token: token } = await logins.create({ principal: 'alice' });
    const { ticket } = await logins.ticket({ kind: 'bearer', token }, undefined);
    await logins.takeTicket(ticket, undefined);
    await logins.takeTicket(ticket, undefined).catch(() => {});
    const jwt = appJwt({ sub: 'bob', expMs: clock.wallMs() + 1_000 });
    const late = await logins.ticket({ kind: 'bearer', token: jwt }, undefined);
    clock.advance(1_000);
    await logins.takeTicket(late.ticket, undefined).catch(() => {});
    const events = ['issued', 'taken', 'refused', 'issued', 'refused'];
    expect(since()).toEqual(['created', ...events.map((event) => `ticket ${event}`)]);
  });

  it('is every request to a provider by what became of it', async () => {
    const idp = await StrictProvider.start();
    onTestFinished(() => idp.stop());
    const telemetry = new Counted();
    const parts = memoryParts();
    const providers = { default: providerAt(idp.tokenUrl, { freshMs: 0 }) };
    const upstream = upstreamOf({ ...parts, providers, telemetry });
    const handle = await createLogin(parts.logins);
    const refreshToken = idp.issue();
    await upstream.put(handle, { refresh_token: refreshToken });
    await Promise.all([upstream.token(handle), upstream.token(handle)]);
    await upstream.put(handle, { refresh_token: refreshToken });
    await upstream.token(handle).catch(() => {});
    expect(telemetry.lines).toEqual(['upstream refreshed true', 'upstream spent true']);
  });

  it('are the logins with connections here, and how long revocations were not read', async () => {
    const [telemetry, clock, control] = [new Counted(), new FakeClock(), new FakeControlLog()];
    const touch = async () => ({ endsAtMs: clock.wallMs() + IDLE_MS });
    const live = new LiveLogins({
      control,
      touch,
      notBeforeMs: async () => 0,
      clock,
      log: silent,
      telemetry,
      pollEveryMs: 5,
    });
    clock.advance(1_000);
    await live.start();
    onTestFinished(() => live.stop());
    live.register({ handle: 'a' });
    live.register({ handle: 'a' });
    live.register({ handle: 'b' }).remove();
    live.register({ principalHandle: 'c', issuedAtMs: 0 });
    live.report();
    const poll = async () => {
      const { reads } = control;
      await vi.waitFor(() => expect(control.reads).toBeGreaterThan(reads + 1));
      live.report();
    };
    control.away = true;
    clock.advance(7_000);
    await poll();
    control.away = false;
    await poll();
    expect(telemetry.lines).toEqual(['live 1, lag 0', 'live 1, lag 7000', 'live 1, lag 0']);
  });
});
