/** Logins and their events as the HTTP API shows them. */
import type { LoginView } from '../protocol/http.js';
import type { Rights } from './api.js';
import type { LoginEvent, LoginRecord } from './ports.js';

export function rightsOf(login: LoginRecord): Rights {
  return JSON.parse(login.rights) as Rights;
}

export function viewOf(login: LoginRecord): LoginView {
  return {
    login_id: login.loginId,
    principal: login.principal,
    attributes: JSON.parse(login.attributes) as Record<string, unknown>,
    rights: rightsOf(login),
    created_at: login.createdAtMs,
    last_seen_at: login.lastSeenAtMs,
    expires_at: login.expiresAtMs,
    max_expires_at: login.maxExpiresAtMs,
    state: login.state,
    ...(login.endReason !== '' && { end_reason: login.endReason }),
  };
}

/** `fields` is what changed; `id` orders events. */
export function eventView({ id, atMs, kind, fields }: LoginEvent): object {
  const values = Object.entries(fields).map(([name, text]) => [name, eventValue(name, text)]);
  return { id, at: atMs, kind, fields: Object.fromEntries(values) as object };
}

function eventValue(name: string, text: string): unknown {
  if (name === 'attributes' || name === 'rights') return JSON.parse(text);
  return name === 'generation' || name.endsWith('_at') ? Number(text) : text;
}
