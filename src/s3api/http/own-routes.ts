/**
 * What the gateway says about itself, beside S3. A fastify plugin: metrics, console and administration belong here too.
 */
import type { FastifyInstance } from 'fastify';

/** The first part of these paths: no bucket's name, since an underscore is in none. */
export const OWN_PREFIX = '/_janusfs';

export interface OwnRoutesOptions {
  /** The gateway takes no new connections any more. */
  isClosing: () => boolean;
}

/**
 * GET /_janusfs/health: 200 while requests are served, 503 from the moment the gateway is told to stop. Unsigned; it
 * tells nothing about the volume and asks nothing of Redis or the store.
 */
export async function ownRoutes(app: FastifyInstance, { isClosing }: OwnRoutesOptions): Promise<void> {
  app.get('/health', (_request, reply) => {
    reply.header('Cache-Control', 'no-store').header('Server', 'janusfs');
    return isClosing() ? reply.code(503).send({ status: 'closing' }) : reply.send({ status: 'ok' });
  });
}
