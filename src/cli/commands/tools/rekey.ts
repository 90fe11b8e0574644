import { UserError } from '../../../base/errors.ts';
import { unwrapKey, wrapKey } from '../../../chunk/codec/data-key.ts';
import { TOOL_SETTINGS, withVolume } from '../../volume/tool-volume.ts';
import { KEY_SETTINGS, keySourceOf } from '../../volume/volume-key.ts';
import { defineCommand } from '../command-spec.ts';

const NEW_PASSPHRASE_VARIABLE = 'JANUSFS_NEW_PASSPHRASE';

export const rekeyCommand = defineCommand({
  name: 'rekey',
  positional: '[url]',
  summary:
    'wrap the key of an encrypted volume anew: another passphrase, key file or key command; no data is written again',
  examples: [
    'JANUSFS_PASSPHRASE=old JANUSFS_NEW_PASSPHRASE=new janusfs rekey redis://localhost/0?volume=home',
    'janusfs rekey --key-file old.key --new-key-file new.key',
  ],
  options: [
    { flags: '--new-key-file <FILE>', text: `file with the new passphrase or key (or ${NEW_PASSPHRASE_VARIABLE})` },
    { flags: '--new-key-command <COMMAND>', text: 'command that wraps and unwraps from now on' },
  ],
  settings: [...TOOL_SETTINGS, ...KEY_SETTINGS],
  async run(call) {
    const { newKeyFile, newKeyCommand } = call.options;
    const source = keySourceOf(call.settings, call.env);
    const next = keySourceOf({ keyFile: newKeyFile, keyCommand: newKeyCommand }, call.env, NEW_PASSPHRASE_VARIABLE);
    if (next === undefined) {
      throw new UserError(`give the new key: ${NEW_PASSPHRASE_VARIABLE}, --new-key-file or --new-key-command`, 2);
    }
    await withVolume(call, call.args[0], async ({ meta }) => {
      const [json] = await meta.scan.values(['fmt']);
      const format = meta.session.format;
      if (json === undefined || format.encryption === undefined) {
        throw new UserError(`the volume ${format.name} is not encrypted; that is decided when it is made`);
      }
      if (source === undefined) throw new UserError('give the key as it is now, too: see --help', 2);
      const dataKey = await unwrapKey(format.encryption, source);
      const changed = JSON.stringify({ ...format, encryption: await wrapKey(dataKey, next) });
      const done = await meta.scan.apply([
        ['is', 'fmt', json],
        ['set', 'fmt', changed],
      ]);
      if (!done) throw new UserError('the volume was changed meanwhile; nothing was done');
      await meta.durability.reached();
      process.stdout.write(`the key of ${format.name} is wrapped anew; the old one opens it no more\n`);
    });
  },
});
