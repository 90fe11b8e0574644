/** Links finished content under a key, and tells everyone in this process what that made stale. */

import type { ByteString, Ino } from '../../base/vocabulary.ts';
import type { KeyPath, PublishReply } from '../../meta/meta.ts';
import type { Context, PutOptions } from '../vfs.ts';
import type { VfsState } from '../vfs-state.ts';
import type { Content } from './object-writer.ts';

interface ChangedEntry {
  parent: Ino;
  /** As stored. */
  name: ByteString;
}

export class Publisher {
  readonly #state: VfsState;

  constructor(state: VfsState) {
    this.#state = state;
  }

  /** One script. acknowledge() the reply before the frontend answers. */
  async publish(ctx: Context, content: Content, put: PutOptions, uploadId?: string): Promise<PublishReply> {
    const { attrs, meta, files, options, negative } = this.#state;
    const token = attrs.token();
    const path: KeyPath = put.path;
    const reply = await meta.objects.publish({
      path,
      caller: ctx,
      precondition: put.precondition,
      content,
      fileMode: options.objectMode,
      dirMode: options.directoryMode,
      s3: put.s3,
      xattrs: put.xattrs,
      ...(uploadId === undefined ? {} : { uploadId }),
    });
    const changed = [reply, ...reply.made];
    for (const { parent, name } of changed) negative.add(parent, name);
    this.#note(changed);
    attrs.changed(reply.attr, token);
    // A hidden inode has a name now; its content was read by nobody.
    files.named(reply.attr.ino);
    if (reply.replaced !== undefined) {
      attrs.changed(reply.replaced, token);
      files.nameLost(reply.replaced);
    }
    return reply;
  }

  /** The kernel drops what the reply made stale, and what it says is durable. */
  async acknowledge(reply: PublishReply): Promise<void> {
    const { parent, name, made, replaced } = reply;
    await this.#tell([{ parent, name }, ...made], replaced === undefined ? [] : [replaced.ino]);
  }

  /** Entries (stored names) and inodes whose attributes changed through S3; resolves when that is durable too. */
  async announce(changed: readonly ChangedEntry[], inodes: readonly Ino[]): Promise<void> {
    this.#note(changed);
    await this.#tell(changed, inodes);
  }

  /** Our own caches, as soon as the reply is there. */
  #note(changed: readonly ChangedEntry[]): void {
    const { attrs, entries } = this.#state;
    for (const { parent, name } of changed) {
      attrs.changedUnseen(parent);
      entries.changed(parent, name);
    }
  }

  async #tell(changed: readonly ChangedEntry[], inodes: readonly Ino[]): Promise<void> {
    const { coherence, meta } = this.#state;
    const told = coherence.announce({ entries: changed, inodes });
    await meta.durability.reached();
    await told;
  }

  /** Gives up a hidden inode after a failure; its own failure only costs time, since the session's end frees it too. */
  async releaseHidden(ino: Ino): Promise<void> {
    try {
      await this.#state.meta.names.release(ino);
    } catch (error) {
      this.#state.logger.warn({ ino, err: String(error) }, 'an unpublished inode could not be released');
    }
  }
}
