/** How requests come from the kernel and replies get there. Two implementations: native (addon) and pure (fs.read). */
import type { WireBuffer } from '../wire/decode.ts';

export interface TransportEvents {
  /** One whole request in `input`, which is the transport's again when this returns. Must not throw. */
  onRequest(input: WireBuffer): void;
  /** The connection is over; called once. ENODEV: unmounted; ECONNABORTED: aborted; anything else: a failure. */
  onEnd(errno: number): void;
}

export interface Transport {
  readonly kind: 'native' | 'pure';
  /** Replies are encoded here, one at a time. */
  readonly out: WireBuffer;
  /** How many notify() calls may be under way at once. */
  readonly notifyParallel: number;
  /** Starts reading. The file system must be mounted: reading before it is fails. */
  start(events: TransportEvents): void;
  /** Sends `length` bytes of `out`. @returns 0 or an errno; ENOENT: nobody waits for the reply any more. */
  send(length: number): number;
  /** Sends `length` bytes of `out` followed by `data` as one reply. */
  sendWith(length: number, data: Buffer): number;
  /**
   * Writes whole notify messages one after another, off the main thread: such a write waits while a request of ours holds
   * the lock it needs. Resolves with the first errno other than ENOENT, or 0.
   */
  notify(messages: Buffer): Promise<number>;
  /** Stops reading and closes the descriptor. */
  close(): void;
}
