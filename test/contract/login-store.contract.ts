import { describe } from 'vitest';
import { loginCreateContract } from './login-create.contract.js';
import type { MakeLoginHarness } from './login-harness.js';
import { loginLifeContract } from './login-life.contract.js';
import { loginPartsContract } from './login-parts.contract.js';
import { loginPresentContract } from './login-present.contract.js';

/** What the stores of logins promise, held against one implementation. */
export function loginStoreContract(name: string, make: MakeLoginHarness): void {
  describe(`${name} login store`, () => {
    loginCreateContract(make);
    loginPresentContract(make);
    loginLifeContract(make);
    loginPartsContract(make);
  });
}
