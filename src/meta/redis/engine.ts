/**
 * Runs scripts on behalf of one session.
 *
 *     mutate(script) -> free slot, next sequence -> EVALSHA sha 1 {NAME}: sid slot sequence args... -> reply -> slot free
 *
 * A mutation holds one of SLOT_COUNT slots until it is answered. When the connection breaks the same (slot, sequence) is
 * sent again and Redis answers from the slot what it did the first time (lib/mutate.lua): executed exactly once.
 */
import { ERRNO, type ErrnoCode, FsError, SessionLostError } from '../../base/errors.ts';
import { writeI64 } from '../../base/integers.ts';
import type { Logger } from '../../base/log.ts';
import { tracer } from '../../base/trace.ts';
import type { VolumeEvents } from '../../base/volume-events.ts';
import type { ScriptReply, ScriptSchema } from '../schema/script-schema.ts';
import { type Argument, type RedisConnection, RedisReplyError, type Reply, type Script } from './connection.ts';
import type { ScriptLibrary } from './script-library.ts';
import { ServerClock } from './server-clock.ts';

export const SLOT_COUNT = 64;
/** Where a mutation's slot and sequence are in the arguments of EVALSHA. */
const SLOT_AT = 4;

const PAST_LEASE = 'ESESSION';

export interface EngineOptions {
  connection: RedisConnection;
  scripts: ScriptLibrary;
  /** `{NAME}:`, before every key. */
  prefix: string;
  sid: number;
  logger: Logger;
  events: VolumeEvents;
}

export class Engine {
  readonly connection: RedisConnection;
  readonly prefix: string;
  readonly sid: number;
  readonly logger: Logger;
  /** Set while the session is being ended on purpose: nobody needs to hear that it is gone. */
  closing = false;
  /** Mutations answered so far: tells durability whether there is anything new. */
  mutationCount = 0;
  readonly #scripts: ScriptLibrary;
  readonly #sequences: number[] = new Array(SLOT_COUNT).fill(0);
  /** Of each slot, the last sequence whose effects were acknowledged. */
  readonly #finished: number[] = new Array(SLOT_COUNT).fill(0);
  readonly #freeSlots: number[] = Array.from({ length: SLOT_COUNT }, (_, i) => SLOT_COUNT - 1 - i);
  readonly #waiting: ((slot: number) => void)[] = [];
  readonly #events: VolumeEvents;
  readonly clock = new ServerClock();
  /** Renews a lease that has run out; false when the session was ended. Set by the session. */
  renew: () => Promise<boolean> = async () => false;
  #fenced = false;

  constructor(options: EngineOptions) {
    this.connection = options.connection;
    this.#scripts = options.scripts;
    this.prefix = options.prefix;
    this.sid = options.sid;
    this.logger = options.logger;
    this.#events = options.events;
  }

  /** The whole key of this volume. */
  key(suffix: string): string {
    return this.prefix + suffix;
  }

  /**
   * Runs a plain command that may be executed twice (reads). 1 round trip.
   * @throws SessionLostError, FsError EIO.
   */
  command(name: string, args: Argument[]): Promise<Reply> {
    if (this.#fenced) return Promise.reject(new SessionLostError(name));
    tracer?.roundTrip(name);
    return this.connection.call(name, args).catch((error: Error) => {
      throw this.#failure(name, error);
    });
  }

  /**
   * Runs a script that changes nothing. 1 round trip.
   * @param request goes through the script's schema, which also reads the reply.
   * @throws FsError with the errno the script answered; its second element, if any, is the detail.
   */
  async read<Request, Response>(schema: ScriptSchema<Request, Response>, request: Request): Promise<Response> {
    const { name } = schema;
    if (this.#fenced) throw new SessionLostError(name);
    const script = this.#scripts.get(name);
    const args: Argument[] = [script.sha, 1, this.prefix];
    schema.encode(request, args);
    return schema.decode(this.#checked(name, await this.#run(script, args)), request);
  }

  /**
   * Runs a script that changes something, exactly once over reconnects. 1 round trip.
   * @throws FsError with the errno the script answered; SessionLostError when this session is fenced.
   */
  async mutate<Request, Response>(schema: ScriptSchema<Request, Response>, request: Request): Promise<Response> {
    const { name } = schema;
    if (this.#fenced) throw new SessionLostError(name);
    // Slot and sequence are known later; a request that cannot be encoded must not wait for them.
    const script = this.#scripts.get(name);
    const args: Argument[] = [script.sha, 1, this.prefix, this.sid, 0, 0];
    schema.encode(request, args);
    const slot = this.#freeSlots.pop() ?? (await this.#waitForSlot());
    const sequence = this.#sequences[slot]! + 1;
    this.#sequences[slot] = sequence;
    try {
      if (this.#fenced) throw new SessionLostError(name);
      const sentMs = this.clock.local();
      args[SLOT_AT] = slot;
      args[SLOT_AT + 1] = sequence;
      let reply = (await this.#run(script, args)) as ScriptReply;
      // Nothing was done: the lease had run out, and the same call may go again when it is renewed.
      if (isPastLease(reply) && (await this.renew())) reply = (await this.#run(script, args)) as ScriptReply;
      this.mutationCount += 1;
      if (typeof reply[0] === 'number') {
        this.clock.learn(reply[0], sentMs);
        this.#finished[slot] = sequence;
      } else this.#checked(name, reply);
      return schema.decode(reply, request);
    } finally {
      this.#freeSlot(slot);
    }
  }

  get fenced(): boolean {
    return this.#fenced;
  }

  /** What was acknowledged, as session-check.lua takes it. */
  finished(): Buffer {
    const packed = Buffer.alloc(8 * SLOT_COUNT);
    this.#finished.forEach((sequence, slot) => {
      writeI64(packed, slot * 8, sequence);
    });
    return packed;
  }

  /** The session is lost: every call fails from now on, listeners hear it once. @param why for the log. */
  fence(why = 'this session was silent past its lease, was ended by another, and is fenced; mount again'): void {
    if (this.#fenced) return;
    this.#fenced = true;
    if (this.closing) return;
    this.logger.error({ sid: this.sid }, why);
    this.#events.emit('fenced', true);
  }

  /** @param args those of EVALSHA. */
  async #run(script: Script, args: Argument[]): Promise<Reply> {
    try {
      return await this.connection.callScript(script, args);
    } catch (error) {
      throw this.#failure(script.name, error as Error);
    }
  }

  #checked(name: string, reply: Reply): ScriptReply {
    const list = reply as ScriptReply;
    const status = list[0] as Buffer;
    // 'OK' without making a string: nearly every reply is one.
    if (status.length === 2 && status[0] === 0x4f && status[1] === 0x4b) return list;
    const code = status.toString('latin1');
    if (code === PAST_LEASE) {
      this.fence();
      throw new SessionLostError(name);
    }
    if (code === 'ESEQUENCE') throw new FsError('EIO', name, 'a call arrived after its slot had moved on');
    if (Object.hasOwn(ERRNO, code))
      throw new FsError(code as ErrnoCode, name, (list[1] as Buffer | undefined)?.toString('latin1'));
    throw new FsError('EIO', name, `unknown status ${code}`);
  }

  #failure(op: string, error: Error): FsError {
    if (error instanceof RedisReplyError && error.code === 'OOM') {
      return new FsError('ENOSPC', op, 'Redis has reached its maxmemory; raise it or delete files', { cause: error });
    }
    if (error instanceof RedisReplyError) this.logger.error({ op, redis: error.message }, 'Redis refused a command');
    return new FsError('EIO', op, error.message, { cause: error });
  }

  #waitForSlot(): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #freeSlot(slot: number): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#freeSlots.push(slot);
    else next(slot);
  }
}

function isPastLease(reply: ScriptReply): boolean {
  const status = reply[0];
  return status instanceof Buffer && status.toString('latin1') === PAST_LEASE;
}
