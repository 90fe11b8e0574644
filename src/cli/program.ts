/** The command line: argv -> one command -> an exit status. */
import { Command, CommanderError, Option } from 'commander';
import { type ExitStatus, UserError } from '../base/errors.ts';
import { lookupTable } from '../base/lookup-table.ts';
import {
  describeSetting,
  isGiven,
  readConfigFile,
  resolveSettings,
  type SettingName,
  type SettingSources,
} from '../config.ts';
import { COMMON_SETTINGS, type CommandSpec } from './commands/command-spec.ts';
import { formatCommand } from './commands/format.ts';
import { gatewayCommand } from './commands/gateway.ts';
import { infoCommand } from './commands/info.ts';
import { mountCommand } from './commands/mount.ts';
import { serveCommand } from './commands/serve.ts';
import { statusCommand } from './commands/status.ts';
import { backupCommand } from './commands/tools/backup.ts';
import { dumpCommand } from './commands/tools/dump.ts';
import { fsckCommand } from './commands/tools/fsck.ts';
import { gcCommand } from './commands/tools/gc.ts';
import { limitCommand } from './commands/tools/limit.ts';
import { loadCommand } from './commands/tools/load.ts';
import { pendingCommand } from './commands/tools/pending.ts';
import { recoverCommand } from './commands/tools/recover.ts';
import { rekeyCommand } from './commands/tools/rekey.ts';
import { restoreCommand } from './commands/tools/restore.ts';
import { scrubCommand } from './commands/tools/scrub.ts';
import { trashCommand } from './commands/tools/trash.ts';
import { umountCommand } from './commands/umount.ts';
import { upCommand } from './commands/up.ts';
import { userAddCommand, userListCommand, userRemoveCommand } from './commands/user.ts';
import { readVersion, versionCommand } from './commands/version.ts';
import { reportError } from './report-error.ts';
import { hidePasswords } from './service/guard-secrets.ts';
import { StandardStreams } from './standard-streams.ts';

// Their modules are light: each loads the layers it needs when it runs, so that `janusfs version` loads none.
const COMMANDS: readonly CommandSpec[] = [
  upCommand,
  formatCommand,
  mountCommand,
  gatewayCommand,
  serveCommand,
  umountCommand,
  statusCommand,
  infoCommand,
  fsckCommand,
  gcCommand,
  dumpCommand,
  loadCommand,
  backupCommand,
  limitCommand,
  scrubCommand,
  rekeyCommand,
  pendingCommand,
  recoverCommand,
  trashCommand,
  restoreCommand,
  userAddCommand,
  userListCommand,
  userRemoveCommand,
  versionCommand,
];

const GROUPS = lookupTable({ user: 'S3 users of a volume' });

const USAGE = 2;

type Environment = Readonly<Record<string, string | undefined>>;

/** Runs one command. @returns the exit status: 0, 1 (run time), 2 (usage) or what the command documents. Never throws. */
export async function runCommandLine(argv: readonly string[], env: Environment): Promise<number> {
  hidePasswords(argv);
  const debug = argv.includes('--debug') || env.JANUSFS_DEBUG === '1' || env.JANUSFS_DEBUG === 'true';
  const streams = new StandardStreams();
  const outcome: Outcome = { status: 0, failedStatus: FAILED };
  try {
    await buildProgram(env, outcome).parseAsync(argv, { from: 'user' });
  } catch (error) {
    const isHelp = error instanceof CommanderError && error.exitCode === 0;
    if (!isHelp) return reportError(error instanceof CommanderError ? usageError(error) : error, debug);
  }
  const unheard = await streams.settled();
  if (unheard === undefined) return outcome.status;
  // A reader that had enough (head) knows.
  if (unheard.code !== 'EPIPE')
    reportError(new UserError(`cannot write to standard output: ${unheard.message}`), debug);
  return outcome.failedStatus;
}

/** How the command that was run ended, and the exit status with which it would have failed. */
interface Outcome {
  status: number;
  failedStatus: ExitStatus;
}

const FAILED: ExitStatus = 1;

/** Commander has already been told to print nothing, so its message becomes our one line. */
function usageError(error: CommanderError): UserError {
  const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  return new UserError(`${message}; see --help`, 2);
}

function buildProgram(env: Environment, outcome: Outcome): Command {
  const program = new Command('janusfs');
  program
    .description('One file system with two doors: a Linux mount and an S3 endpoint over the same files.')
    .version(readVersion(), '--version')
    .addHelpText('after', `\nStart here:\n  ${upCommand.examples.join('\n  ')}\n\n'janusfs help COMMAND' tells more.`);
  muzzle(program);
  const groups = new Map<string, Command>();
  for (const spec of COMMANDS) {
    const [first, second] = spec.name.split(' ') as [string, string | undefined];
    if (second === undefined) {
      addCommand(program, first, spec, env, outcome);
      continue;
    }
    let group = groups.get(first);
    if (group === undefined) {
      group = program.command(first).description(GROUPS.get(first) ?? '');
      muzzle(group);
      groups.set(first, group);
    }
    addCommand(group, second, spec, env, outcome);
  }
  return program;
}

/** Makes commander throw instead of printing errors and exiting. */
function muzzle(command: Command): void {
  command
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .allowExcessArguments(true);
  // Without a subcommand commander would print help as an error; the help itself is what was meant.
  command.action(() => {
    const unknown = command.args[0];
    if (unknown !== undefined) throw new UserError(`unknown command '${unknown}'; see janusfs --help`, 2);
    throw new UserError(`which command? see ${command.parent === null ? '' : 'janusfs '}${command.name()} --help`, 2);
  });
}

function addCommand(parent: Command, name: string, spec: CommandSpec, env: Environment, outcome: Outcome): void {
  const command = parent.command(`${name} ${spec.positional}`.trim()).description(spec.summary);
  command
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .allowExcessArguments(false);
  const settings: SettingName[] = [...new Set<SettingName>([...spec.settings, ...COMMON_SETTINGS])];
  for (const option of spec.options ?? []) {
    command.addOption(new Option(option.flags, option.text).makeOptionMandatory(option.required === true));
  }
  for (const setting of settings) {
    const { flags, text } = describeSetting(setting);
    command.addOption(new Option(flags, text).default(undefined));
  }
  command.addOption(new Option('--config <FILE>', 'settings in JSON, by camelCase name (JANUSFS_CONFIG)'));
  command.addHelpText('after', `\nExamples:\n  ${spec.examples.join('\n  ')}`);
  command.action(async (...parameters: unknown[]) => {
    const args = parameters.slice(0, -2) as (string | undefined)[];
    outcome.failedStatus = spec.failedStatus ?? FAILED;
    outcome.status = await runSpec(spec, settings, args, givenFlags(command), env);
  });
}

/** Only what stands on the command line: commander fills in a default for --no-x, which would hide the environment. */
function givenFlags(command: Command): Record<string, string | boolean | undefined> {
  return Object.fromEntries(
    Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === 'cli'),
  );
}

async function runSpec(
  spec: CommandSpec,
  names: readonly SettingName[],
  args: readonly (string | undefined)[],
  flags: Record<string, string | boolean | undefined>,
  env: Environment,
): Promise<number> {
  const configPath = typeof flags.config === 'string' ? flags.config : env.JANUSFS_CONFIG;
  const file = configPath === undefined || configPath === '' ? {} : readConfigFile(configPath);
  const sources: SettingSources = { flags, env, file };
  const call = {
    args,
    options: flags as Record<string, string | undefined>,
    settings: resolveSettings(names, sources),
    isGiven: (name: SettingName) => isGiven(name, sources),
    env,
  };
  try {
    return (await spec.run(call)) ?? 0;
  } catch (error) {
    if (spec.failedStatus === undefined || isUsageError(error)) throw error;
    throw new UserError(error instanceof Error ? error.message : String(error), spec.failedStatus, { cause: error });
  }
}

function isUsageError(error: unknown): boolean {
  return error instanceof UserError && error.exitStatus === USAGE;
}
