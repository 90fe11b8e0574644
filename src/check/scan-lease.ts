import { UserError } from '../base/errors.ts';
import type { Meta } from '../meta/meta.ts';

const LEASE = 'scan';
const LEASE_MS = 60_000;

/**
 * Holds the lease `scan` while a tool walks the volume: from then on every slice that gets a record elsewhere is noted in
 * `shared` (scripts/lib/content/slices.lua).
 */
export class ScanLease {
  readonly #meta: Meta;
  readonly #timer: NodeJS.Timeout;
  #lost: Error | undefined;

  private constructor(meta: Meta) {
    this.#meta = meta;
    this.#timer = setInterval(() => {
      meta.upkeep.lease(LEASE, LEASE_MS).then(
        (held) => {
          if (!held) this.#lost ??= new UserError('another fsck or gc took over; run this one again');
        },
        (error: Error) => {
          this.#lost ??= error;
        },
      );
    }, LEASE_MS / 4);
    this.#timer.unref();
  }

  /** @throws UserError when another tool walks the volume. */
  static async take(meta: Meta): Promise<ScanLease> {
    if (!(await meta.upkeep.lease(LEASE, LEASE_MS))) {
      throw new UserError(
        'an fsck or gc of this volume is running, or was killed less than a minute ago; try again then',
      );
    }
    await meta.scan.apply([['delete', 'shared']]);
    return new ScanLease(meta);
  }

  /** Slices that got a record elsewhere since. @throws when the lease was lost meanwhile: nothing may be concluded. */
  async shared(): Promise<Set<number>> {
    if (!this.#lost && !(await this.#meta.upkeep.lease(LEASE, LEASE_MS)))
      this.#lost = new UserError('the walk took too long between two renewals of its lease; run it again');
    if (this.#lost !== undefined) throw this.#lost;
    return new Set((await this.#meta.scan.setMembers('shared')).map(Number));
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#meta.scan.apply([
      ['is', `lease:${LEASE}`, String(this.#meta.session.sid)],
      ['delete', `lease:${LEASE}`],
      ['delete', 'shared'],
    ]);
  }
}
