export const DAY_MS = 86_400_000;
export const MIB = 1_048_576;
