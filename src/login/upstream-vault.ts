import type { JWK } from 'jose';
import { Sealer } from '../crypto/seal.js';
import type { Secret } from '../crypto/secrets.js';
import type { UpstreamToken } from './api.js';
import type { UpstreamGrant } from './ports.js';

/** What a refresh needs. Unlike an access token it cannot be had again once it is lost. */
export interface GrantSecret {
  /** Who gave the refresh token, and the only one that may see it. */
  issuer: string;
  refreshToken: string;
  /** The private key to which the refresh token is bound, for DPoP. */
  dpopKey?: JWK | undefined;
}

export type UpstreamAccess = Omit<UpstreamToken, 'expose'>;

/** Seals what stores hold of a grant, bound to its login and generation. */
export class GrantVault {
  readonly #secret: Sealer;
  readonly #access: Sealer;

  /** @param secrets the first seals, all open */
  constructor(secrets: readonly Secret[]) {
    this.#secret = new Sealer(secrets, 'upstream-secret');
    this.#access = new Sealer(secrets, 'upstream-access');
  }

  sealSecret(handle: string, generation: number, secret: GrantSecret): string {
    return this.#secret.seal(JSON.stringify(secret), handle, `${generation}`);
  }

  sealAccess(handle: string, generation: number, access: UpstreamAccess): string {
    return this.#access.seal(JSON.stringify(access), handle, `${generation}`);
  }

  /** @returns undefined for what was not sealed here, or under a secret that is gone */
  openSecret(handle: string, { generation, sealedSecret }: UpstreamGrant): GrantSecret | undefined {
    const text = this.#secret.open(sealedSecret, handle, `${generation}`);
    return text === undefined ? undefined : (JSON.parse(text) as GrantSecret);
  }

  /** @returns undefined where there is none, as well */
  openAccess(handle: string, { generation, sealedAccess }: UpstreamGrant): UpstreamAccess | undefined {
    const text = this.#access.open(sealedAccess, handle, `${generation}`);
    return text === undefined ? undefined : (JSON.parse(text) as UpstreamAccess);
  }
}
