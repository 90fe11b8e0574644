/** The part of the Redis protocol that starting and finding a server needs, without a client library. */
import { connect } from 'node:net';

/**
 * Sends one inline command and answers the first reply's text (`PONG`, `LOADING ...`, INFO's text).
 * @returns undefined when nobody answers within `timeoutMs`.
 */
export function askRedis(socketPath: string, command: string, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(socketPath);
    const finish = (reply: string | undefined): void => {
      clearTimeout(limit);
      socket.destroy();
      resolve(reply);
    };
    const limit = setTimeout(() => finish(undefined), timeoutMs);
    socket.setEncoding('latin1');
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on('connect', () => socket.write(`${command}\r\n`));
    socket.on('data', (chunk) => {
      received += chunk;
      const reply = firstReply(received);
      if (reply !== undefined) finish(reply);
    });
  });
}

/** A simple string, an error or a bulk string (a nil one is empty); undefined while it is incomplete. */
function firstReply(received: string): string | undefined {
  const end = received.indexOf('\r\n');
  if (end < 0) return undefined;
  const head = received.slice(1, end);
  if (received[0] !== '$') return head;
  const length = Number(head);
  if (length < 0) return ''; // Nil.
  const body = received.slice(end + 2);
  return body.length >= length + 2 ? body.slice(0, length) : undefined;
}
