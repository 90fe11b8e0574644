import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Stands between a client and Redis, both on unix sockets. It can cut a connection after Redis has executed a request and
 * before the client hears the answer, hold everything back as a dead network does, and names the commands that passed.
 */
export class CutProxy {
  readonly socket: string;
  /** Names of the commands seen, in order. */
  commands: string[] = [];
  /** Answers swallowed so far, each with its connection. */
  cuts = 0;
  readonly #directory: string;
  readonly #target: string;
  readonly #server: Server;
  readonly #pairs = new Set<{ client: Socket; redis: Socket }>();
  #cutNext = 0;
  #cutOn: (commands: string[]) => boolean = () => true;
  #stalled = false;

  private constructor(target: string) {
    this.#target = target;
    this.#directory = mkdtempSync(join(tmpdir(), 'janusfs-proxy-'));
    this.socket = join(this.#directory, 'proxy.sock');
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(target: string): Promise<CutProxy> {
    const proxy = new CutProxy(target);
    proxy.#server.listen(proxy.socket);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** Swallows the next `count` answers to requests with such a command, and cuts their connections. */
  cutAnswers(count: number, command = 'EVALSHA'): void {
    this.#cutNext = count;
    this.#cutOn = (commands) => commands.includes(command);
  }

  /** Holds back everything on connections that are open now and those to come, without closing any. */
  stall(): void {
    this.#stalled = true;
  }

  /** Lets traffic pass again; connections that lived through the stall are dropped, as their bytes are lost. */
  resume(): void {
    this.#stalled = false;
    this.cutAll();
  }

  cutAll(): void {
    for (const { client, redis } of this.#pairs) {
      client.destroy();
      redis.destroy();
    }
  }

  async stop(): Promise<void> {
    this.cutAll();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #accept(client: Socket): void {
    const redis = createConnection(this.#target);
    const pair = { client, redis };
    this.#pairs.add(pair);
    const parser = new RequestParser();
    // Commands that Redis has been asked and has not answered yet.
    let asked: string[] = [];
    client.on('data', (data) => {
      if (this.#stalled) return;
      const names = parser.push(data);
      this.commands.push(...names);
      asked.push(...names);
      redis.write(data);
    });
    redis.on('data', (data) => {
      if (this.#stalled) return;
      if (this.#cutNext > 0 && this.#cutOn(asked)) {
        this.#cutNext -= 1;
        this.cuts += 1;
        client.destroy();
        redis.destroy();
        return;
      }
      asked = [];
      client.write(data);
    });
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      redis.destroy();
    };
    for (const socket of [client, redis]) {
      socket.on('error', end);
      socket.on('close', end);
    }
  }
}

/** Finds the names of commands in a stream of RESP requests, which are arrays of bulk strings. */
class RequestParser {
  #rest: Buffer = Buffer.alloc(0);

  push(data: Buffer): string[] {
    this.#rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    const names: string[] = [];
    for (;;) {
      const command = this.#next();
      if (command === undefined) return names;
      this.#rest = this.#rest.subarray(command.end);
      names.push(command.name);
    }
  }

  #next(): { name: string; end: number } | undefined {
    const head = this.#line(0);
    if (head === undefined) return undefined;
    let at = head.end;
    let name = '';
    for (let i = 0; i < Number(head.text.slice(1)); i += 1) {
      const length = this.#line(at);
      if (length === undefined) return undefined;
      const end = length.end + Number(length.text.slice(1)) + 2;
      if (end > this.#rest.length) return undefined;
      if (i === 0) name = this.#rest.toString('latin1', length.end, end - 2).toUpperCase();
      at = end;
    }
    return { name, end: at };
  }

  #line(from: number): { text: string; end: number } | undefined {
    const end = this.#rest.indexOf('\r\n', from);
    return end < 0 ? undefined : { text: this.#rest.toString('latin1', from, end), end: end + 2 };
  }
}
