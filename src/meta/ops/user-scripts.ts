/** S3 users of the volume, in the hash `users`: name -> JSON. */
import { FsError } from '../../base/errors.ts';
import type { User } from '../../base/vocabulary.ts';
import type { MetaUsers } from '../meta.ts';
import type { Engine } from '../redis/engine.ts';
import { putUser, removeUser } from '../schema/session-schemas.ts';

export class UserScripts implements MetaUsers {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** All users by name. 1 round trip. */
  async list(): Promise<User[]> {
    const reply = (await this.#engine.command('HGETALL', [this.#engine.key('users')])) as Buffer[];
    const users: User[] = [];
    for (let i = 1; i < reply.length; i += 2) users.push(JSON.parse(reply[i]!.toString()) as User);
    return users.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Makes a user, or changes the one of that name. @throws FsError EEXIST when another user has the access key. */
  async put(user: User): Promise<void> {
    const { name, accessKey } = user;
    await this.#engine.mutate(putUser, { name, accessKey, user: encodeUser(user) });
  }

  /** Answers whether there was one. */
  async remove(name: string): Promise<boolean> {
    return (await this.#engine.mutate(removeUser, { name })).removed;
  }
}

/** A user as stored. @throws FsError EINVAL when a field cannot be used. */
export function encodeUser(user: User): Buffer {
  const { name, accessKey, secretKey, uid, gid, groups } = user;
  if (name === '' || accessKey === '' || secretKey === '') {
    throw new FsError('EINVAL', 'put-user', 'a user has a name, an access key and a secret key');
  }
  for (const id of [uid, gid, ...groups]) {
    if (!Number.isInteger(id) || id < 0 || id > 0xffff_fffe)
      throw new FsError('EINVAL', 'put-user', `${id} is no uid or gid`);
  }
  return Buffer.from(JSON.stringify({ name, accessKey, secretKey, uid, gid, groups }));
}
