import type { Logger } from '../../base/log.ts';
import type { User } from '../../base/vocabulary.ts';
import type { Vfs } from '../../vfs/vfs.ts';
import { SigningKeys } from './sigv4.ts';

/** An unknown key makes the directory look again, at most this often: a push may have been missed. */
const REFRESH_MS_MIN = 1000;

/** The volume's S3 users by access key, kept in memory and read again when the volume says they changed. */
export class UserDirectory {
  readonly signingKeys = new SigningKeys();
  readonly #vfs: Vfs;
  readonly #logger: Logger;
  #byKey = new Map<string, User>();
  #loading: Promise<void> | undefined;
  #loadedMs = 0;
  #stale = true;

  constructor(vfs: Vfs, logger: Logger) {
    this.#vfs = vfs;
    this.#logger = logger;
    vfs.events.on('invalidated', (batch) => {
      if (!batch.some((invalidation) => invalidation.kind === 'users')) return;
      this.#stale = true;
      this.#load().catch((error) =>
        this.#logger.warn({ err: error }, 'could not read the users; trying again at the next request'),
      );
    });
  }

  /**
   * The user, a plain value when known. Undefined: nobody has this key. Costs a trip when users changed or for unknown
   * keys.
   */
  find(accessKey: string): User | undefined | Promise<User | undefined> {
    if (this.#loading === undefined && !this.#stale) {
      const user = this.#byKey.get(accessKey);
      if (user !== undefined || Date.now() - this.#loadedMs < REFRESH_MS_MIN) return user;
    }
    return this.#load().then(() => this.#byKey.get(accessKey));
  }

  /** Reads the users; one read at a time, a change during it makes another one follow. */
  #load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #read(): Promise<void> {
    do {
      this.#stale = false;
      try {
        const users = await this.#vfs.users.list();
        this.#byKey = new Map(users.map((user) => [user.accessKey, user]));
      } catch (error) {
        this.#stale = true;
        throw error;
      }
      this.#loadedMs = Date.now();
      this.signingKeys.clear();
    } while (this.#stale);
  }
}
