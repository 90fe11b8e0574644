// `npm start`: set-up, then `janusfs up` in this process, so that signals reach it without a forwarder.
import { root, setUp } from './setup.mjs';

setUp();
process.argv = [process.argv[0], `${root}/bin/janusfs.mjs`, 'up', ...process.argv.slice(2)];
await import('../bin/janusfs.mjs');
