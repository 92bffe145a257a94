/** What the code needs of a logger; pino has this shape. Fields first, then one fixed message a call site. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
