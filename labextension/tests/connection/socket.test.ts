import { strict as assert } from 'node:assert';
import { mock, test } from 'node:test';
import {
  DOUBT_MS,
  FIRST_DELAY_MS,
  HEARTBEAT_MS,
  LONGEST_DELAY_MS,
  PATIENCE_MS,
  SocketTransport,
  type Server
} from '../../src/connection/socket';
import { STATE_ONLY, type Wish } from '../../src/connection/transport';
import type { ServerMessage } from '../../src/model/types';

class FakeSocket {
  readyState = 0;
  readonly sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  accept(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

class FakeServer implements Server {
  readonly sockets: FakeSocket[] = [];
  readonly requests: [string, RequestInit][] = [];
  respond: () => Response = () => new Response('{}');

  open(): WebSocket {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return socket as unknown as WebSocket;
  }

  async request(path: string, init: RequestInit): Promise<Response> {
    this.requests.push([path, init]);
    return Promise.resolve().then(this.respond);
  }

  get newest(): FakeSocket {
    return this.sockets.at(-1) as FakeSocket;
  }
}

const unreachable = {
  state: 'reconnecting',
  provider: '',
  url: '',
  version: '',
  reason: 'The Jupyter server cannot be reached: trying again.'
};

const SCORE: Wish = { ...STATE_ONLY, calls: ['score'] };

function begun() {
  const server = new FakeServer();
  const transport = new SocketTransport(server);
  const heard: ServerMessage[] = [];
  transport.onMessage(message => heard.push(message));
  return { server, transport, heard };
}

test('nothing is opened before something is displayed', () => {
  const { server, transport } = begun();
  assert.equal(server.sockets.length, 0);
  transport.watch(STATE_ONLY);
  transport.watch(SCORE);
  assert.equal(server.sockets.length, 1);
  server.newest.accept();
  assert.deepEqual(server.newest.sent, [{ type: 'watch', ...SCORE }]);
  transport.dispose();
});

test('a connection that is lost comes back and the wish is said again, ever more slowly', t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { server, transport, heard } = begun();
  transport.watch(SCORE);
  server.newest.accept();
  server.newest.close();
  assert.equal(heard.at(-1)?.type, 'gateway');
  t.mock.timers.tick(250);
  assert.equal(server.sockets.length, 2);
  server.newest.accept();
  assert.deepEqual(server.newest.sent, [{ type: 'watch', ...SCORE }]);
  for (let i = 0; i < 8; i++) {
    server.newest.close();
    t.mock.timers.tick(LONGEST_DELAY_MS);
  }
  const opened = server.sockets.length;
  server.newest.close();
  t.mock.timers.tick(LONGEST_DELAY_MS / 2 - 1);
  assert.equal(server.sockets.length, opened);
  transport.dispose();
});

test('a connection that works again is retried quickly the next time', t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { server, transport } = begun();
  transport.watch(SCORE);
  for (let i = 0; i < 8; i++) {
    server.newest.close();
    t.mock.timers.tick(LONGEST_DELAY_MS);
  }
  server.newest.accept();
  server.newest.say({ type: 'gateway', gateway: { state: 'live' } });
  const opened = server.sockets.length;
  server.newest.close();
  t.mock.timers.tick(250);
  assert.equal(server.sockets.length, opened + 1);
  transport.dispose();
});

test('a heartbeat is sent while it is open, and none after nobody looks', t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { server, transport } = begun();
  transport.watch(STATE_ONLY);
  server.newest.accept();
  server.newest.say({ type: 'gateway', gateway: { state: 'live' } });
  t.mock.timers.tick(HEARTBEAT_MS);
  assert.deepEqual(server.newest.sent.at(-1), { type: 'alive' });
  transport.watch(null);
  assert.equal(server.newest.readyState, 3);
  const said = server.newest.sent.length;
  t.mock.timers.tick(10 * HEARTBEAT_MS);
  assert.equal(server.newest.sent.length, said);
  assert.equal(server.sockets.length, 1);
});

test('a connection that died without a word is noticed by its silence and replaced', t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { server, transport, heard } = begun();
  transport.watch(SCORE);
  const dead = server.newest;
  dead.accept();
  dead.say({ type: 'gateway', gateway: { state: 'live' } });
  t.mock.timers.tick(HEARTBEAT_MS);
  dead.say({ type: 'alive' });
  t.mock.timers.tick(HEARTBEAT_MS - 1);
  assert.equal(heard.length, 1);
  t.mock.timers.tick(1);
  t.mock.timers.tick(PATIENCE_MS);
  assert.equal(dead.readyState, 3);
  assert.deepEqual(heard.at(-1), { type: 'gateway', gateway: unreachable });
  t.mock.timers.tick(FIRST_DELAY_MS);
  assert.equal(server.sockets.length, 2);
  dead.say({ type: 'events', events: [] });
  assert.equal(heard.length, 2);
  transport.dispose();
});

test('a connection that does not open is given up', t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { server, transport } = begun();
  transport.watch(STATE_ONLY);
  t.mock.timers.tick(PATIENCE_MS);
  t.mock.timers.tick(FIRST_DELAY_MS);
  assert.equal(server.sockets.length, 2);
  assert.equal(server.sockets[0]?.readyState, 3);
  transport.dispose();
});

test('another network: a lost connection is opened at once, one that is there is asked', t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  const { server, transport } = begun();
  transport.look();
  assert.equal(server.sockets.length, 0);
  transport.watch(STATE_ONLY);
  server.newest.close();
  transport.look();
  assert.equal(server.sockets.length, 2);
  t.mock.timers.tick(FIRST_DELAY_MS);
  assert.equal(server.sockets.length, 2);
  server.newest.accept();
  server.newest.say({ type: 'gateway', gateway: { state: 'live' } });
  transport.look();
  assert.deepEqual(server.newest.sent.at(-1), { type: 'alive' });
  t.mock.timers.tick(DOUBT_MS);
  assert.equal(server.newest.readyState, 3);
  transport.dispose();
});

test('messages reach listeners until they stop listening', () => {
  const { server, transport, heard } = begun();
  transport.watch(STATE_ONLY);
  server.newest.accept();
  const stop = transport.onMessage(() => assert.fail('has stopped'));
  stop();
  server.newest.say({ type: 'events', events: [] });
  assert.deepEqual(heard, [{ type: 'events', events: [] }]);
  transport.dispose();
});

test('an action is a request; its answer comes with our headers', async () => {
  const { server, transport } = begun();
  server.respond = () =>
    new Response('{"detail": "no"}', { status: 422, headers: { 'Faas-Fault': 'user', Server: 'x' } });
  const answer = await transport.act('PATCH', 'v1/functions/score/scaling', { maxContainers: 0 });
  assert.deepEqual(answer, { status: 422, body: { detail: 'no' }, headers: { 'faas-fault': 'user' } });
  const [path, init] = server.requests[0]!;
  assert.equal(path, 'v1/functions/score/scaling');
  assert.equal(init.body, '{"maxContainers":0}');
});

test('what only reads is asked again when the network cut it', async () => {
  const { server, transport } = begun();
  server.respond = () => {
    if (server.requests.length === 1) throw new TypeError('Failed to fetch');
    return new Response('{}');
  };
  assert.equal((await transport.act('GET', 'v1/functions/score')).status, 200);
  server.requests.length = 0;
  assert.equal((await transport.act('POST', 'v1/functions/score/rollback')).status, 0);
  assert.equal(server.requests.length, 1);
});

test('an action without an answer is told, not thrown; text is given as it is', async () => {
  const { server, transport } = begun();
  server.respond = () => {
    throw new TypeError('Failed to fetch');
  };
  assert.equal((await transport.act('DELETE', 'v1/functions/score')).status, 0);
  server.respond = () => new Response('<b>', { status: 502 });
  assert.equal((await transport.act('GET', 'v1/state')).body, '<b>');
  mock.reset();
});
