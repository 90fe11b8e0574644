/**
 * Lets callers go that are being killed, or asked to stop, while they wait for us.
 *
 *     request waits ---- half a second ----> look at its caller, every half second
 *                                              dying                               -> EINTR, whatever we still do
 *                                              interrupted, asked to stop          -> EINTR, where it only looks or waits
 *                                              interrupted, in a pid namespace
 *                                                that we do not see                -> EINTR, unless it changes names
 *                                              otherwise                           -> goes on waiting
 *
 * The kernel's INTERRUPT alone says too little and too much. It comes once, for the first signal of any kind, also those
 * that a program hardly notices (SIGALRM, SIGCHLD, Go's preemption) or that SA_RESTART should hide: the kernel does not
 * restart a call that we answer with EINTR, and programs do not expect that from a regular file. And it does not come for
 * the FLUSH by which a process that was killed closes its files: the kernel waits for that without listening to signals,
 * and the process would hang as long as the store does. So /proc is asked which signals wait for the caller.
 *
 * What the caller wanted goes on without it: written bytes stay pending and are stored when that is possible. Its late
 * result is dropped by FuseSession.
 */
import { readFileSync } from 'node:fs';
import type { Request } from '../wire/decode.ts';
import { OP } from '../wire/protocol.ts';

const LOOK_MS = 500;
/** task_struct.flags (include/linux/sched.h): do_exit has begun. */
const PF_EXITING = 0x4;
/** Signals whose default is to do nothing, to stop or to go on (signal(7)): CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH. */
const HARMLESS = signals(17, 18, 19, 20, 21, 22, 23, 28);
const SIGKILL = signals(9);
/** Signals by which a program that catches them is asked to stop what it does: HUP, INT, QUIT, TERM. */
const ASKS_TO_STOP = signals(1, 2, 3, 15);

/**
 * Operations that only look or wait: their caller loses nothing by EINTR and may ask again. Not among them: what changes
 * names, attributes or content, since EINTR after a done rename(2) would be a lie, and an append would be done twice; and
 * FLUSH, because programs take a close(2) that was interrupted for done and would miss that their data is not stored.
 */
const INTERRUPTIBLE: ReadonlySet<number> = new Set([
  OP.LOOKUP,
  OP.GETATTR,
  OP.STATX,
  OP.READLINK,
  OP.OPEN,
  OP.READ,
  OP.LSEEK,
  OP.READDIR,
  OP.READDIRPLUS,
  OP.GETXATTR,
  OP.LISTXATTR,
  OP.STATFS,
  OP.FSYNC,
  OP.FSYNCDIR,
  OP.SYNCFS,
]);

/** Where nothing is known of an interrupted caller, it is probably dying: then data that it wrote does not hold it. */
const INTERRUPTIBLE_UNSEEN: ReadonlySet<number> = new Set([...INTERRUPTIBLE, OP.WRITE, OP.FLUSH, OP.RELEASE]);

/** What is known of a thread. */
export type CallerState = 'alive' | 'stopping' | 'dying' | 'unknown';

export interface WaitingCallersOptions {
  /** Requests that wait, by unique id. */
  pending: ReadonlyMap<number, Request>;
  abandon: (key: number, request: Request) => void;
  /** Tests bring their own. */
  stateOf?: (pid: number) => CallerState;
}

export class WaitingCallers {
  readonly #pending: ReadonlyMap<number, Request>;
  readonly #abandon: (key: number, request: Request) => void;
  readonly #stateOf: (pid: number) => CallerState;
  /** Requests that were there at the look before. */
  #seen = new Set<Request>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WaitingCallersOptions) {
    this.#pending = options.pending;
    this.#abandon = options.abandon;
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
      if (mayGo(request, state)) this.#abandon(key, request);
      else seen.add(request);
    }
    this.#seen = seen;
  }
}

function mayGo(request: Request, state: CallerState): boolean {
  if (state === 'dying') return true;
  // The kernel interrupts no READ that it sends ahead or for O_DIRECT: its caller then waits for the page or the end.
  const interrupted = request.interrupted || (request.opcode === OP.READ && state === 'stopping');
  if (!interrupted || request.truncates) return false;
  if (state === 'stopping') return INTERRUPTIBLE.has(request.opcode);
  return state === 'unknown' && INTERRUPTIBLE_UNSEEN.has(request.opcode);
}

/** Looks at a thread in /proc. `pid` is the thread's id; 0 when it lives in a pid namespace that we do not see. */
export function callerState(pid: number): CallerState {
  if (pid === 0) return 'unknown';
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything; the 7th field behind it is flags (proc(5)).
    const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
    if ((flags & PF_EXITING) !== 0) return 'dying';
    return stateBySignals(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    // It ended, or /proc is not ours to read: INTERRUPT has to do.
    return 'unknown';
  }
}

/** What the pending signals in /proc/PID/status will do: end the process, ask it to stop, or neither. */
export function stateBySignals(status: string): 'alive' | 'stopping' | 'dying' {
  const mask = (name: string): bigint =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`);
  const pending = mask('SigPnd') | mask('ShdPnd');
  if (pending === 0n) return 'alive';
  const [blocked, ignored, caught] = [mask('SigBlk'), mask('SigIgn'), mask('SigCgt')];
  const survived = blocked | ignored | caught | HARMLESS;
  if ((pending & SIGKILL) !== 0n || (pending & ~survived) !== 0n) return 'dying';
  return (pending & caught & ~blocked & ASKS_TO_STOP) !== 0n ? 'stopping' : 'alive';
}

/** The mask of /proc/PID/status with these signals set. */
function signals(...numbers: number[]): bigint {
  return numbers.reduce((set, number) => set | (1n << BigInt(number - 1)), 0n);
}
