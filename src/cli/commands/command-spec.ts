/** What a command's file exports; program.ts turns it into the command line. */
import type { ExitStatus } from '../../base/errors.ts';
import type { SettingName, Settings } from '../../config.ts';

export interface CommandOption {
  /** As commander writes it: `--uid <N>`. */
  flags: string;
  text: string;
  required?: boolean;
}

export interface CommandCall<N extends SettingName> {
  /** Positional arguments in order; optional ones that were left out are undefined. */
  args: readonly (string | undefined)[];
  /** Values of the command's own options, by camelCase name. */
  options: Readonly<Record<string, string | undefined>>;
  settings: Settings<N>;
  /** Whether the user has set it (flag, variable, file), as opposed to its default. */
  isGiven(name: SettingName): boolean;
  env: Readonly<Record<string, string | undefined>>;
}

export interface CommandSpec<N extends SettingName = SettingName> {
  /** `user add`: a word per level. */
  name: string;
  /** As commander writes them: `<url> [path]`. */
  positional: string;
  summary: string;
  /** Complete command lines for --help. */
  examples: readonly string[];
  settings: readonly N[];
  options?: readonly CommandOption[];
  /** Exit status when it fails, or its output goes nowhere, where that is not 1. */
  failedStatus?: ExitStatus;
  /** Resolves when the command is through, with an exit status other than 0 if need be; throws UserError for what the user can mend. */
  run(call: CommandCall<N>): Promise<number | undefined> | Promise<void>;
}

/** Checks a spec against its precise type and returns it as the general one, so that all specs fit one list. */
export function defineCommand<N extends SettingName>(spec: CommandSpec<N>): CommandSpec {
  return spec as unknown as CommandSpec;
}

/** Settings of every command. */
export const COMMON_SETTINGS = ['logLevel', 'debug'] as const;
/** Settings of the data layer, used by every command that opens a frontend. */
export const DATA_SETTINGS = [
  'bufferSize',
  'cacheSize',
  'readahead',
  'uploads',
  'downloads',
  'retryTime',
  'idleFlush',
  'lease',
  'writeback',
  'writebackSize',
  'keyFile',
  'keyCommand',
] as const;
export const MOUNT_SETTINGS = ['fuseDriver', 'fuseTransport', 'allowOther'] as const;
export const GATEWAY_SETTINGS = ['listen', 'region', 'domain', 'requests'] as const;
export const SERVICE_SETTINGS = ['background', 'logFile'] as const;
