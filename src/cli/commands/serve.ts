import { serveVolume } from '../service/serve-volume.ts';
import {
  COMMON_SETTINGS,
  DATA_SETTINGS,
  defineCommand,
  GATEWAY_SETTINGS,
  MOUNT_SETTINGS,
  SERVICE_SETTINGS,
} from './command-spec.ts';
import { parseListenAddress } from './listen-address.ts';
import { mountRequest } from './mount-request.ts';

export const serveCommand = defineCommand({
  name: 'serve',
  positional: '<url> <mnt>',
  summary: 'mount a volume and serve it on S3, both doors in one process with one cache',
  examples: ['janusfs serve redis://localhost:6379/0?volume=home /mnt/home --listen 127.0.0.1:9000'],
  settings: [...MOUNT_SETTINGS, ...GATEWAY_SETTINGS, ...DATA_SETTINGS, ...SERVICE_SETTINGS, ...COMMON_SETTINGS],
  async run(call) {
    const { listen, region, domain, requests } = call.settings;
    await serveVolume('serve', call, {
      mount: mountRequest(call, call.args[1]!, false),
      gateway: { ...parseListenAddress(listen), region, domain, requests },
    });
  },
});
