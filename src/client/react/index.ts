'use client';
/** `holdfast-client/react`: the client's sessions as hooks, for React 18 and later. */

export { ReconnectingBanner, type ReconnectingBannerProps } from './banner.js';
export { type ConnectionView, useConnectionState } from './connection.js';
export { type UseMessagesOptions, useMessages } from './messages.js';
export { type OwnershipControl, useOwnership } from './ownership.js';
export { HoldfastProvider, type HoldfastProviderProps, useClient } from './provider.js';
export { type SessionTarget, type SessionView, useSession } from './session.js';
export type { UseSessionOptions } from './shared-sessions.js';
