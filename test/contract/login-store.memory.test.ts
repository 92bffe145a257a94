import { memoryLoginHarness } from './login-memory-harness.js';
import { loginStoreContract } from './login-store.contract.js';

loginStoreContract('memory', memoryLoginHarness);
