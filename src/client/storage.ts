/** What Web Storage offers, as far as it is needed. Each call may throw. */
export interface TokenStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface SafeStorage extends TokenStorage {
  /** Those that were set here, and all where the storage tells them as its properties, which Web Storage does. */
  keys(): string[];
}

/** A storage that cannot fail: where it is full, forbidden or missing, memory stands in for it. */
export function safeStorage(storage: TokenStorage | undefined): SafeStorage {
  const memory = new Map<string, string>();
  const attempt = <T>(use: (storage: TokenStorage) => T): T | undefined => {
    try {
      return storage && use(storage);
    } catch {
      return undefined;
    }
  };
  return {
    getItem: (key) => {
      // Null means that another tab took it out; undefined, that the storage cannot say.
      const stored = attempt((storage) => storage.getItem(key));
      return (stored === undefined ? memory.get(key) : stored) ?? null;
    },
    setItem: (key, value) => {
      memory.set(key, value);
      attempt((storage) => storage.setItem(key, value));
    },
    removeItem: (key) => {
      memory.delete(key);
      attempt((storage) => storage.removeItem(key));
    },
    keys: () => [...memory.keys(), ...(attempt(Object.keys) ?? [])],
  };
}
