// `npm start`: set-up, then `janusfs up` in this process, so that signals reach it without a forwarder. The thread pool's
// size comes from package.json: it is too late for bin/janusfs.cjs to set it here.
import { root, setUp } from './setup.mjs';

setUp();
process.argv = [process.argv[0], `${root}/bin/janusfs.cjs`, 'up', ...process.argv.slice(2)];
await import('../bin/janusfs.cjs');
