import { randomBytes } from 'node:crypto';
import { UserError } from '../../base/errors.ts';
import { loggerFor } from '../service/logger.ts';
import { credentialsFromEnvironment, generateCredentials, SUPERUSER } from '../volume/credentials.ts';
import { parseCodec } from '../volume/new-codec.ts';
import { requireUrl, withPassword } from '../volume/volume-argument.ts';
import { KEY_SETTINGS, keySourceOf } from '../volume/volume-key.ts';
import { COMMON_SETTINGS, defineCommand } from './command-spec.ts';
import { parseLimits } from './tools/limit.ts';

const FORGETFUL =
  'janusfs: Redis forgets the user when it restarts: it has no aclfile and no configuration file; run this again then\n';

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
    {
      flags: '--acl-user <NAME>',
      text: 'make a user of Redis that may do what janusfs does with this volume, and nothing else; its password is JANUSFS_ACL_PASSWORD, or generated',
    },
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
    const { aclUser } = call.options;
    const { checkAclName, makeAclUser } = await import('../../meta/volume/acl-user.ts');
    if (aclUser !== undefined) checkAclName(url, aclUser);
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
    if (aclUser !== undefined) {
      const given = call.env.JANUSFS_ACL_PASSWORD;
      const password = given === undefined || given === '' ? randomBytes(24).toString('base64url') : given;
      const isKept = await makeAclUser(url, { name: aclUser, password });
      process.stdout.write(`redis_user=${aclUser}\n${given === password ? '' : `redis_password=${password}\n`}`);
      if (!isKept) process.stderr.write(FORGETFUL);
    }
  },
});
