/**
 * Lets callers go that are being killed while they wait for us.
 *
 *     request waits ---- half a second ----> look at its caller, every half second
 *                                              dying                                -> EINTR, whatever we still do
 *                                              unknown (another pid namespace) and
 *                                              interrupted by the kernel            -> EINTR
 *                                              otherwise                            -> goes on waiting
 *
 * The kernel's INTERRUPT alone says too little and too much. It comes for any signal, also those a program hardly
 * notices (SIGALRM, SIGCHLD, Go's preemption), and programs do not expect EINTR from a regular file: on a disk none
 * would come. And it does not come for the FLUSH by which a process that was killed closes its files: the kernel waits
 * for that without listening to signals, and the process would hang as long as the store does.
 *
 * What the caller wanted goes on without it: written bytes stay pending and are stored when that is possible.
 */
import { readFileSync } from 'node:fs';
import type { Request } from '../wire/decode.ts';

const LOOK_MS = 500;
/** task_struct.flags (include/linux/sched.h): do_exit has begun. */
const PF_EXITING = 0x4;
/** Signals whose default is to do nothing, to stop or to go on (signal(7)): CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH. */
const HARMLESS = [17, 18, 19, 20, 21, 22, 23, 28].reduce((set, signal) => set | bit(signal), 0n);
const SIGKILL = bit(9);

/** What is known of a thread. */
export type CallerState = 'alive' | 'dying' | 'unknown';

export interface DyingCallersOptions {
  /** Requests that wait, by unique id. */
  pending: ReadonlyMap<number, Request>;
  letGo: (key: number, request: Request) => void;
  /** Tests bring their own. */
  stateOf?: (pid: number) => CallerState;
}

export class DyingCallers {
  readonly #pending: ReadonlyMap<number, Request>;
  readonly #letGo: (key: number, request: Request) => void;
  readonly #stateOf: (pid: number) => CallerState;
  /** Requests that were there at the look before. */
  #seen = new Set<Request>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DyingCallersOptions) {
    this.#pending = options.pending;
    this.#letGo = options.letGo;
    this.#stateOf = options.stateOf ?? callerState;
  }

  start(): void {
    this.#timer = setInterval(() => this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Looks at the callers of all requests that have been waiting since the look before. */
  look(): void {
    const seen = new Set<Request>();
    const states = new Map<number, CallerState>();
    for (const [key, request] of [...this.#pending]) {
      if (!this.#seen.has(request)) {
        seen.add(request);
        continue;
      }
      const { pid } = request;
      let state = states.get(pid);
      if (state === undefined) {
        state = this.#stateOf(pid);
        states.set(pid, state);
      }
      if (state === 'dying' || (state === 'unknown' && request.interrupted)) this.#letGo(key, request);
      else seen.add(request);
    }
    this.#seen = seen;
  }
}

/** Looks at a thread in /proc. `pid` is the thread's id; 0 when it lives in a pid namespace that we do not see. */
export function callerState(pid: number): CallerState {
  if (pid === 0) return 'unknown';
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything; the 7th field behind it is flags (proc(5)).
    const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
    if ((flags & PF_EXITING) !== 0) return 'dying';
    return hasFatalSignal(readFileSync(`/proc/${pid}/status`, 'latin1')) ? 'dying' : 'alive';
  } catch {
    // It ended, or /proc is not ours to read: INTERRUPT has to do.
    return 'unknown';
  }
}

/** Whether /proc/PID/status tells of a pending signal that will end the process. */
export function hasFatalSignal(status: string): boolean {
  const mask = (name: string): bigint =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`);
  const pending = mask('SigPnd') | mask('ShdPnd');
  if (pending === 0n) return false;
  const survived = mask('SigBlk') | mask('SigIgn') | mask('SigCgt') | HARMLESS;
  return (pending & SIGKILL) !== 0n || (pending & ~survived) !== 0n;
}

function bit(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}
