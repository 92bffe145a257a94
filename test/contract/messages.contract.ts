import { describe } from 'vitest';
import { appendContract } from './append.contract.js';
import { conditionContract } from './condition.contract.js';
import { historyContract } from './history.contract.js';
import type { MakeMessageHarness } from './message-harness.js';
import { retentionContract } from './retention.contract.js';

/** What `MessageStore` promises, held against one implementation. */
export function messageStoreContract(name: string, make: MakeMessageHarness): void {
  describe(`${name} message store`, () => {
    appendContract(make);
    conditionContract(make);
    retentionContract(make);
    historyContract(make);
  });
}
