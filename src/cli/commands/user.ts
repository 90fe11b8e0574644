import { UserError } from '../../base/errors.ts';
import type { User } from '../../base/vocabulary.ts';
import { checkCredentials, generateCredentials, ROOT_USER_NAME } from '../volume/credentials.ts';
import { TOOL_SETTINGS, withVolume } from '../volume/tool-volume.ts';
import { defineCommand } from './command-spec.ts';

const ID_MAX = 2 ** 32 - 2;

export const userAddCommand = defineCommand({
  name: 'user add',
  positional: '<name> [url]',
  summary: 'add an S3 user, or change one: an access key that acts as a uid and gid of the file system',
  examples: [
    'janusfs user add alice --uid 1000 --gid 1000 --data ~/.janusfs',
    'janusfs user add alice --uid 1000 --gid 1000 --groups 27,100 redis://localhost/0?volume=home',
  ],
  options: [
    { flags: '--uid <N>', text: 'user id that its requests run as', required: true },
    { flags: '--gid <N>', text: 'group id that its requests run as', required: true },
    { flags: '--groups <N,N>', text: 'further group ids' },
    { flags: '--access-key <KEY>', text: 'access key; generated when left out' },
    { flags: '--secret-key <KEY>', text: 'secret key; generated when left out' },
  ],
  settings: TOOL_SETTINGS,
  async run(call) {
    const { options } = call;
    const [name, url] = call.args;
    const generated = generateCredentials();
    const { accessKey, secretKey } = checkCredentials({
      accessKey: options.accessKey ?? generated.accessKey,
      secretKey: options.secretKey ?? generated.secretKey,
    });
    const user: User = {
      name: checkName(name!),
      uid: parseId('--uid', options.uid!),
      gid: parseId('--gid', options.gid!),
      groups: (options.groups ?? '')
        .split(',')
        .filter((part) => part !== '')
        .map((part) => parseId('--groups', part)),
      accessKey,
      secretKey,
    };
    await withVolume(call, url, async ({ meta }) => {
      const taken = (await meta.users.list()).find(
        (other) => other.accessKey === accessKey && other.name !== user.name,
      );
      if (taken !== undefined)
        throw new UserError(`the access key belongs to the user '${taken.name}'; choose another`);
      await meta.users.put(user);
    });
    const lines = [`user ${user.name} uid=${user.uid} gid=${user.gid} access_key=${accessKey}`];
    // A secret the caller gave is not repeated; a generated one is shown once.
    if (options.secretKey === undefined) lines.push(`secret_key=${secretKey}`);
    process.stdout.write(`${lines.join('\n')}\n`);
  },
});

export const userListCommand = defineCommand({
  name: 'user list',
  positional: '[url]',
  summary: 'list the S3 users of a volume, without their secrets',
  examples: ['janusfs user list --data ~/.janusfs', 'janusfs user list redis://localhost/0?volume=home --json'],
  options: [{ flags: '--json', text: 'print JSON' }],
  settings: TOOL_SETTINGS,
  async run(call) {
    await withVolume(call, call.args[0], async ({ meta }) => {
      const users = (await meta.users.list())
        .map(({ secretKey: _, ...shown }) => shown)
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      if (call.options.json !== undefined) {
        process.stdout.write(`${JSON.stringify(users, undefined, 2)}\n`);
        return;
      }
      for (const { name, uid, gid, groups, accessKey } of users) {
        const more = groups.length === 0 ? '' : ` groups=${groups.join(',')}`;
        process.stdout.write(`${name} uid=${uid} gid=${gid}${more} access_key=${accessKey}\n`);
      }
    });
  },
});

export const userRemoveCommand = defineCommand({
  name: 'user remove',
  positional: '<name> [url]',
  summary: 'remove an S3 user; its files stay',
  examples: ['janusfs user remove alice --data ~/.janusfs'],
  settings: TOOL_SETTINGS,
  async run(call) {
    const [name, url] = call.args;
    if (name === ROOT_USER_NAME) {
      throw new UserError(
        `'${ROOT_USER_NAME}' cannot be removed; start with other JANUSFS_ACCESS_KEY and JANUSFS_SECRET_KEY`,
        2,
      );
    }
    await withVolume(call, url, async ({ meta }) => {
      if (!(await meta.users.remove(name!))) throw new UserError(`there is no user '${name}'; see janusfs user list`);
    });
    process.stdout.write(`user ${name} removed\n`);
  },
});

function checkName(name: string): string {
  if (!/^[\w][\w.@-]{0,63}$/.test(name)) {
    throw new UserError(`'${name}' is no user name: 1 to 64 letters, digits or _.@-, not beginning with . @ or -`, 2);
  }
  if (name === ROOT_USER_NAME) {
    throw new UserError(`'${ROOT_USER_NAME}' is set by JANUSFS_ACCESS_KEY and JANUSFS_SECRET_KEY`, 2);
  }
  return name;
}

function parseId(flag: string, text: string): number {
  const id = /^\d{1,10}$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(id <= ID_MAX)) throw new UserError(`${flag}: '${text}' is no user or group id (0 to ${ID_MAX})`, 2);
  return id;
}
