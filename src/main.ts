import { runCommandLine } from './cli/program.ts';

// Exiting explicitly: a command that is through must not be held up by a connection that some library keeps open.
process.exit(await runCommandLine(process.argv.slice(2), process.env));
