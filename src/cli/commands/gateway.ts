import { serveVolume } from '../service/serve-volume.ts';
import { COMMON_SETTINGS, DATA_SETTINGS, defineCommand, GATEWAY_SETTINGS, SERVICE_SETTINGS } from './command-spec.ts';
import { parseListenAddress } from './listen-address.ts';

export const gatewayCommand = defineCommand({
  name: 'gateway',
  positional: '<url>',
  summary: 'serve a volume on S3',
  examples: ['janusfs gateway redis://localhost:6379/0?volume=home --listen 0.0.0.0:9000'],
  settings: [...GATEWAY_SETTINGS, ...DATA_SETTINGS, ...SERVICE_SETTINGS, ...COMMON_SETTINGS],
  async run(call) {
    const { listen, region, domain, requests } = call.settings;
    const gateway = { ...parseListenAddress(listen), region, domain, requests };
    await serveVolume('gateway', call, { mount: undefined, gateway });
  },
});
