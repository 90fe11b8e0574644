import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UserError } from '../../../base/errors.ts';
import type { ObjectStore } from '../../../chunk/chunks.ts';
import { openStore } from '../../../chunk/object/open-store.ts';
import type { Meta } from '../../../meta/meta.ts';
import { stoppable } from '../../service/stoppable.ts';
import { TOOL_SETTINGS, type ToolVolume, withVolume } from '../../volume/tool-volume.ts';
import { openJournal } from '../../volume/write-back.ts';
import { defineCommand } from '../command-spec.ts';

const PARALLEL = 16;
const LOOK_MS = 1_000;
/** Slices that are settled at once. */
const BATCH = 500;

export const recoverCommand = defineCommand({
  name: 'recover',
  positional: '<directory> [url]',
  summary: 'move what a journal of write-back holds into the store: after its machine died, from its disk',
  examples: [
    'janusfs recover /var/lib/janusfs/journal redis://redis.example/0?volume=home',
    "janusfs recover --lost 'host:/var/lib/janusfs/journal' - redis://redis.example/0?volume=home",
  ],
  options: [
    {
      flags: '--lost <PLACE>',
      text: 'a journal, as `pending` names it, is gone for good (give - as directory): nobody waits for it any more; `fsck` then says which files are hurt',
    },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const [directory = '', url] = call.args;
    const { lost } = call.options;
    if ((directory === '-') !== (lost !== undefined)) {
      throw new UserError('give the directory of a journal, or - and --lost PLACE', 2);
    }
    await withVolume(call, url, async (volume) => {
      const store = await openStore(volume.store, { create: false });
      try {
        if (lost === undefined) await upload(volume, store, resolve(directory));
        else await giveUp(volume.meta, lost);
      } finally {
        await store.close();
      }
    });
  },
});

async function upload({ meta, logger }: ToolVolume, store: ObjectStore, directory: string): Promise<void> {
  const own = join(directory, meta.session.format.uuid);
  if (!existsSync(own)) throw new UserError(`${directory} holds no journal of ${meta.session.format.name}`);
  const options = { directory, maxBytes: 0, uploadParallel: PARALLEL };
  const { journal, unlock } = await openJournal(meta, store, logger, options);
  try {
    const { blocks, bytes } = journal.waiting;
    await stoppable(async (signal) => {
      while ((await journal.drained(LOOK_MS)) > 0) signal.throwIfAborted();
    });
    process.stdout.write(`${blocks} blocks, ${bytes} bytes, are in the store\n`);
  } finally {
    await journal.close();
    unlock();
  }
}

async function giveUp(meta: Meta, lost: string): Promise<void> {
  let ids: number[] = [];
  let count = 0;
  const settle = async (): Promise<void> => {
    await meta.upkeep.changePending(lost, [], ids);
    count += ids.length;
    ids = [];
  };
  for await (const page of meta.scan.fields('pend')) {
    for (const [id, place] of page) if (place.toString() === lost) ids.push(Number(id));
    if (ids.length >= BATCH) await settle();
  }
  await settle();
  if (count === 0) throw new UserError(`nothing waits in '${lost}'; janusfs pending lists the journals`);
  process.stdout.write(`${count} slices are given up; janusfs fsck says which files are hurt\n`);
}
