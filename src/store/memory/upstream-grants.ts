import type { Clock } from '../../lib/clock.js';
import type { LoginEvent, UpstreamFailure, UpstreamGrant, UpstreamGrants } from '../../login/ports.js';
import { storeTime } from './store-time.js';

/** What grants need of the logins that they live and die with. */
export interface GrantOwners {
  isActive(handle: string): boolean;
  onEnded(listener: (handle: string) => void): void;
  note(handle: string, kind: LoginEvent['kind'], fields: Readonly<Record<string, string>>): void;
}

type Sent = Pick<UpstreamGrant, 'generation' | 'sendingSinceMs'>;

/** Grants of one process. Each verb is synchronous, which makes it atomic. */
export class MemoryUpstreamGrants implements UpstreamGrants {
  readonly #logins: GrantOwners;
  readonly #now: () => number;
  readonly #grants = new Map<string, UpstreamGrant>();

  constructor({ clock, logins }: { clock: Clock; logins: GrantOwners }) {
    const time = storeTime(clock);
    this.#now = () => time().ms;
    this.#logins = logins;
    logins.onEnded((handle) => this.#grants.delete(handle));
  }

  async put(
    handle: string,
    { provider, seal }: { provider: string; seal(generation: number): string },
  ): Promise<boolean> {
    if (!this.#logins.isActive(handle)) return false;
    const generation = (this.#grants.get(handle)?.generation ?? 0) + 1;
    this.#grants.set(handle, {
      provider,
      generation,
      sealedSecret: seal(generation),
      sealedAccess: '',
      refreshedAtMs: 0,
      sendingSinceMs: 0,
      notBeforeMs: 0,
      state: 'ok',
    });
    this.#logins.note(handle, 'grant_stored', { provider, grant_generation: `${generation}` });
    return true;
  }

  async read(handle: string): Promise<{ grant?: UpstreamGrant; nowMs: number }> {
    const grant = this.#grants.get(handle);
    return { nowMs: this.#now(), ...(grant && { grant }) };
  }

  async begin(handle: string, found: Sent): Promise<number> {
    const grant = this.#grants.get(handle);
    if (grant === undefined || !isSame(grant, found)) return 0;
    const sendingSinceMs = this.#now();
    this.#grants.set(handle, { ...grant, sendingSinceMs });
    return sendingSinceMs;
  }

  async commit(
    handle: string,
    generation: number,
    { sealedSecret, sealedAccess }: { sealedSecret: string; sealedAccess: string },
  ): Promise<boolean> {
    const grant = this.#grants.get(handle);
    if (grant?.generation !== generation) return false;
    this.#grants.set(handle, {
      provider: grant.provider,
      generation: generation + 1,
      sealedSecret,
      sealedAccess,
      refreshedAtMs: this.#now(),
      sendingSinceMs: 0,
      notBeforeMs: 0,
      state: 'ok',
    });
    this.#note(handle, 'grant_refreshed');
    return true;
  }

  async fail(handle: string, sent: Sent, failure: UpstreamFailure): Promise<boolean> {
    const grant = this.#grants.get(handle);
    if (grant === undefined || !isSame(grant, sent)) return false;
    const ended = { ...grant, sendingSinceMs: 0 };
    if (failure === 'reauth_required') {
      this.#grants.set(handle, { ...ended, sealedAccess: '', state: failure });
      this.#note(handle, 'grant_lost');
    } else {
      this.#grants.set(handle, { ...ended, notBeforeMs: this.#now() + failure.retryAfterMs });
    }
    return true;
  }

  #note(handle: string, kind: LoginEvent['kind']): void {
    const { provider = '', generation = 0 } = this.#grants.get(handle) ?? {};
    this.#logins.note(handle, kind, { provider, grant_generation: `${generation}` });
  }
}

function isSame(grant: UpstreamGrant, { generation, sendingSinceMs }: Sent): boolean {
  return grant.generation === generation && grant.sendingSinceMs === sendingSinceMs;
}
