import { describe } from 'vitest';
import { claimContract } from './claim.contract.js';
import type { MakeHarness } from './harness.js';
import { leaseContract } from './lease.contract.js';
import { reclaimContract } from './reclaim.contract.js';
import { sweepContract } from './sweep.contract.js';
import { transferContract } from './transfer.contract.js';
import { watchersContract } from './watchers.contract.js';

/** What `OwnershipStore` promises, held against one implementation. */
export function ownershipStoreContract(name: string, make: MakeHarness): void {
  describe(`${name} ownership store`, () => {
    claimContract(make);
    reclaimContract(make);
    leaseContract(make);
    transferContract(make);
    sweepContract(make);
    watchersContract(make);
  });
}
