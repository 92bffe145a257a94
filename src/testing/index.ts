/** `holdfast-client/testing`: a gateway without a network, and time that passes on command, for unit tests. */

export type { AuthPath, FakeAuth } from './fake-auth.js';
export { FakeClock } from './fake-clock.js';
export type { FakeConnection, Right } from './fake-connection.js';
export { FakeGateway, type FakeSessionView } from './fake-gateway.js';
export type { FakeGatewayOptions, FakeRequest } from './fake-node.js';
