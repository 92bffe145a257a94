import { HoldfastError } from '../protocol/errors.js';

export function reauthRequired(): HoldfastError {
  return new HoldfastError('upstream_reauth_required', 'the provider no longer accepts this grant: log in there again');
}

export function upstreamUnavailable(retryAfterMs: number): HoldfastError {
  return new HoldfastError('upstream_unavailable', 'the provider gave no answer that can be used', {
    retryAfterMs: Math.ceil(Math.max(retryAfterMs, 1_000)),
  });
}

export function upstreamBusy(): HoldfastError {
  return new HoldfastError('upstream_busy', 'too much is under way for this grant', { retryAfterMs: 1_000 });
}

export function misconfigured(): HoldfastError {
  return new HoldfastError('upstream_misconfigured', 'the gateway cannot use this provider as it is set up');
}
