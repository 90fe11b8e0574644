import { UserError } from '../../base/errors.ts';
import { loggerFor } from '../service/logger.ts';
import { credentialsFromEnvironment, generateCredentials, SUPERUSER } from '../volume/credentials.ts';
import { parseCodec } from '../volume/new-codec.ts';
import { requireUrl, withPassword } from '../volume/volume-argument.ts';
import { KEY_SETTINGS, keySourceOf } from '../volume/volume-key.ts';
import { COMMON_SETTINGS, defineCommand } from './command-spec.ts';
import { parseLimits } from './limit.ts';

export const formatCommand = defineCommand({
  name: 'format',
  positional: '<url>',
  summary: 'make a volume: metadata at the URL, blocks in the store',
  examples: [
    'janusfs format redis://localhost:6379/0?volume=home --store file:///srv/home-blocks',
    "janusfs format redis://localhost/0?volume=home --store 's3://bucket/home?endpoint=http://minio:9000&region=us-east-1'",
  ],
  options: [
    { flags: '--if-missing', text: 'succeed without a change when the volume exists' },
    { flags: '--capacity <SIZE>', text: 'limit of what all files take together; `janusfs limit` changes it' },
    { flags: '--inodes <N>', text: 'limit of files and directories' },
    { flags: '--compress <zstd|lz4>', text: 'compress blocks; cannot be changed later' },
    {
      flags: '--encrypt',
      text: 'encrypt blocks and small files with a key that only the given key opens; cannot be changed later',
    },
  ],
  settings: ['store', ...KEY_SETTINGS, ...COMMON_SETTINGS],
  async run(call) {
    const url = withPassword(requireUrl(call.args[0]), call.env);
    const { store } = call.settings;
    if (store === undefined) throw new UserError('--store is missing: where should blocks go? see --help', 2);
    const given = credentialsFromEnvironment(call.env);
    const limits = parseLimits(call.options);
    const root = given ?? generateCredentials();
    const { makeVolume } = await import('../volume/make-volume.ts');
    const codec = parseCodec(call.options, keySourceOf(call.settings, call.env));
    const made = await makeVolume(
      url,
      {
        store,
        root,
        owner: SUPERUSER,
        ...(limits === undefined ? {} : { limits }),
        ...(codec === undefined ? {} : { codec }),
      },
      loggerFor(call.settings),
      new AbortController().signal,
    );
    if (!made.isNew && call.options.ifMissing === undefined) {
      throw new UserError(`the volume '${made.format.name}' exists there already; nothing was changed`);
    }
    const { name, uuid } = made.format;
    process.stdout.write(
      `${made.isNew ? 'formatted' : 'exists'} volume=${name} uuid=${uuid} store=${made.format.store}\n`,
    );
    if (made.isNew && given === undefined) {
      process.stdout.write(`access_key=${root.accessKey}\nsecret_key=${root.secretKey}\n`);
    }
  },
});
