/** What is rolled out: some nodes, and HAProxy in front of them. */
export interface Deployment {
  /** Where clients connect. */
  connectUrl: string;
  nodes: readonly DeployedNode[];
  /** `--drain-ms` of every node. */
  drainMs: number;
  stop(): Promise<void>;
}

export interface DeployedNode {
  name: string;
  /** Resolves when it has ended. @returns how, where that is a fault: SIGTERM must lead to exit code 0 */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<string | undefined>;
  /** Resolves when HAProxy gives it connections again. */
  start(): Promise<void>;
}

export type Tell = (line: string) => void;
