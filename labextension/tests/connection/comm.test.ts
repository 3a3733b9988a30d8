import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { CommTransport, HEARTBEAT_MS, type WidgetModel } from '../../src/connection/comm';
import { STATE_ONLY } from '../../src/connection/transport';
import type { ServerMessage } from '../../src/model/types';
import { snapshot } from '../example';

class FakeModel implements WidgetModel {
  readonly traits: Record<string, unknown> = { snapshot: {}, status: {} };
  readonly sent: Record<string, unknown>[] = [];
  private readonly calls = new Map<string, ((...values: unknown[]) => void)[]>();

  get(trait: string): unknown {
    return this.traits[trait];
  }

  on(event: string, call: (...values: unknown[]) => void): void {
    this.calls.set(event, [...(this.calls.get(event) ?? []), call]);
  }

  off(event: string, call: (...values: unknown[]) => void): void {
    this.calls.set(event, (this.calls.get(event) ?? []).filter(one => one !== call));
  }

  send(content: object): void {
    this.sent.push(content as Record<string, unknown>);
  }

  emit(event: string, ...values: unknown[]): void {
    for (const call of this.calls.get(event) ?? []) call(...values);
  }

  get listening(): number {
    return [...this.calls.values()].flat().length;
  }
}

function begun() {
  const model = new FakeModel();
  const transport = new CommTransport(model);
  const heard: ServerMessage[] = [];
  transport.onMessage(message => heard.push(message));
  return { model, transport, heard };
}

test('what the model holds is told when it is displayed, and whenever it changes', () => {
  const { model, transport, heard } = begun();
  model.traits['snapshot'] = snapshot();
  transport.watch(STATE_ONLY);
  assert.deepEqual(heard, [{ type: 'snapshot', state: snapshot() }]);
  model.traits['status'] = { state: 'live' };
  model.emit('change:status');
  assert.equal(heard.at(-1)?.type, 'gateway');
  transport.dispose();
});

test('another wish does not bring back how it was when the panel was made', () => {
  const { model, transport, heard } = begun();
  model.traits['snapshot'] = snapshot();
  transport.watch(STATE_ONLY);
  transport.watch({ ...STATE_ONLY, logs: ['score'] });
  assert.equal(heard.length, 1);
  transport.dispose();
});

test('an empty trait says nothing', () => {
  const { transport, heard } = begun();
  transport.watch(STATE_ONLY);
  assert.deepEqual(heard, []);
  transport.dispose();
});

test('it says that it lives while it is displayed, and that it is hidden', t => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const { model, transport } = begun();
  transport.watch(STATE_ONLY);
  t.mock.timers.tick(HEARTBEAT_MS);
  transport.watch(null);
  t.mock.timers.tick(10 * HEARTBEAT_MS);
  assert.deepEqual(model.sent.map(one => one['type']), ['watch', 'alive', 'hidden']);
  assert.equal(new Set(model.sent.map(one => one['view'])).size, 1);
});

test('an action is answered by the message with its number', async () => {
  const { model, transport, heard } = begun();
  const [first, second] = [transport.act('GET', 'v1/a'), transport.act('PUT', 'v1/b', { x: 1 })];
  model.emit('msg:custom', { type: 'answer', id: 2, status: 200, body: 'b' });
  model.emit('msg:custom', { type: 'answer', id: 1, status: 404, body: 'a' });
  assert.deepEqual(await Promise.all([first, second]), [
    { status: 404, body: 'a', headers: {} },
    { status: 200, body: 'b', headers: {} }
  ]);
  assert.deepEqual(model.sent[1], { type: 'act', id: 2, method: 'PUT', path: 'v1/b', body: { x: 1 } });
  assert.deepEqual(heard, []);
});

test('a closed widget listens to nothing and leaves no action waiting', async () => {
  const { model, transport } = begun();
  const waiting = transport.act('GET', 'v1/a');
  transport.dispose();
  assert.equal((await waiting).status, 0);
  assert.equal(model.listening, 0);
});
