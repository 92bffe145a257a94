import type {
  CreateLoginRequest,
  Credential,
  LoginApi,
  LoginPatch,
  NewUpstreamGrant,
  Principal,
  UpstreamToken,
} from '../../src/login/api.js';
import type { CreatedLogin, IssuedTokens, LoginView } from '../../src/protocol/http.js';

export const LOGIN_ID = 'login_of-some-thirty-two-characters-or-more';
export const EXPIRES_AT = 2_000_000_000_000;

export const VIEW: LoginView = {
  login_id: LOGIN_ID,
  principal: 'alice',
  attributes: { name: 'Alice' },
  rights: [],
  created_at: 1_700_000_000_000,
  last_seen_at: 1_700_000_000_000,
  expires_at: EXPIRES_AT,
  max_expires_at: EXPIRES_AT,
  state: 'active',
};

export const TOKENS: IssuedTokens = {
  login_id: LOGIN_ID,
  principal: 'alice',
  access_token: 'header.payload.signature',
  expires_at: EXPIRES_AT,
  refresh_token: 'hfr1.k.successor',
  max_expires_at: EXPIRES_AT,
};

/** Answers everything alike, or with `error`, and records what the transport asked for. */
export class FakeLoginApi implements LoginApi {
  readonly calls: unknown[][] = [];
  error: Error | undefined;
  upstream: UpstreamToken = { access_token: 'upstream-token', token_type: 'Bearer', scope: 'read', expose: true };

  async #answer<T>(answer: T, ...call: unknown[]): Promise<T> {
    this.calls.push(call);
    if (this.error !== undefined) throw this.error;
    return answer;
  }

  create(request: CreateLoginRequest): Promise<CreatedLogin> {
    return this.#answer({ ...TOKENS, login_code: 'hfc_code' }, 'create', request);
  }
  get(loginId: string): Promise<LoginView> {
    return this.#answer(VIEW, 'get', loginId);
  }
  patch(loginId: string, patch: LoginPatch): Promise<LoginView> {
    return this.#answer({ ...VIEW, ...patch }, 'patch', loginId, patch);
  }
  revoke(loginId: string): Promise<LoginView> {
    return this.#answer({ ...VIEW, state: 'revoked' as const }, 'revoke', loginId);
  }
  events(loginId: string): Promise<object[]> {
    return this.#answer([{ kind: 'created' }], 'events', loginId);
  }
  list(principal: string): Promise<LoginView[]> {
    return this.#answer([VIEW], 'list', principal);
  }
  revokeAll(principal: string): Promise<number> {
    return this.#answer(2, 'revokeAll', principal);
  }
  disconnect(principal: string, notBeforeMs: number): Promise<void> {
    return this.#answer(undefined, 'disconnect', principal, notBeforeMs);
  }
  exchange(code: string, origin: string | undefined): Promise<IssuedTokens> {
    return this.#answer(TOKENS, 'exchange', code, origin);
  }
  refresh(refreshToken: string): Promise<IssuedTokens> {
    return this.#answer(TOKENS, 'refresh', refreshToken);
  }
  authenticate(credential: Credential): Promise<Principal> {
    const principal = { principal: 'alice', rights: [], issuedAtMs: 0, expiresAtMs: EXPIRES_AT };
    return this.#answer(principal, 'authenticate', credential);
  }
  me(credential: Credential): Promise<LoginView> {
    return this.#answer(VIEW, 'me', credential);
  }
  logout(credential: Credential): Promise<void> {
    return this.#answer(undefined, 'logout', credential);
  }
  ticket(credential: Credential, origin: string | undefined): Promise<{ ticket: string; expires_at: number }> {
    return this.#answer({ ticket: 'hft_ticket', expires_at: EXPIRES_AT }, 'ticket', credential, origin);
  }
  takeTicket(ticket: string, origin: string | undefined): Promise<Principal> {
    const principal = { principal: 'alice', rights: [], issuedAtMs: 0, expiresAtMs: EXPIRES_AT };
    return this.#answer(principal, 'takeTicket', ticket, origin);
  }
  upstreamToken(credential: Credential): Promise<UpstreamToken> {
    return this.#answer(this.upstream, 'upstreamToken', credential);
  }
  putUpstream(loginId: string, grant: NewUpstreamGrant): Promise<void> {
    return this.#answer(undefined, 'putUpstream', loginId, grant);
  }
  upstreamTokenOf(loginId: string): Promise<UpstreamToken> {
    return this.#answer(this.upstream, 'upstreamTokenOf', loginId);
  }
}
