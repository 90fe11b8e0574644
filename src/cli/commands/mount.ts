import { serveVolume } from '../service/serve-volume.ts';
import { COMMON_SETTINGS, DATA_SETTINGS, defineCommand, MOUNT_SETTINGS, SERVICE_SETTINGS } from './command-spec.ts';
import { mountRequest } from './mount-request.ts';

export const mountCommand = defineCommand({
  name: 'mount',
  positional: '<url> <mnt>',
  summary: 'mount a volume',
  examples: [
    'janusfs mount redis://localhost:6379/0?volume=home /mnt/home',
    'JANUSFS_REDIS_PASSWORD=... janusfs mount rediss://redis.example/1?volume=home /mnt/home --background',
  ],
  settings: [...MOUNT_SETTINGS, ...DATA_SETTINGS, ...SERVICE_SETTINGS, ...COMMON_SETTINGS],
  async run(call) {
    const mount = mountRequest(call, call.args[1]!, false);
    await serveVolume('mount', call, { mount, gateway: undefined });
  },
});
