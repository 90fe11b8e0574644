import { type StdioOptions, spawn } from 'node:child_process';

const COMMAND_MS_MAX = 60_000;

export interface CommandResult {
  /** Exit status; undefined when the command could not be started or was killed. */
  status: number | undefined;
  /** What it wrote to stderr, or why it could not be started. Trimmed. */
  complaint: string;
}

/**
 * Runs a command to its end without blocking the main loop, which may have to serve what the command touches. After
 * `timeoutMs` it is killed and no longer waited for: a process that hangs in the kernel does not die.
 * @param descriptors passed on as 3, 4, ...
 */
export function run(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; descriptors?: readonly number[]; timeoutMs?: number } = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const stdio: StdioOptions = ['ignore', 'ignore', 'pipe', ...(options.descriptors ?? [])];
    const child = spawn(command, args, { stdio, env: { ...process.env, LC_ALL: 'C', ...options.env }, cwd: '/' });
    const finish = (result: CommandResult): void => {
      clearTimeout(timer);
      resolve(result);
    };
    const { timeoutMs = COMMAND_MS_MAX } = options;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.stderr?.destroy();
      child.unref();
      finish({ status: undefined, complaint: `no answer within ${timeoutMs} ms` });
    }, timeoutMs);
    let complaint = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint += text;
    });
    child.on('error', (error) => finish({ status: undefined, complaint: error.message }));
    child.on('close', (status) => finish({ status: status ?? undefined, complaint: complaint.trim() }));
  });
}
