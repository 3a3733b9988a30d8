import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { Feed } from '../../src/connection/feed';
import { find } from '../../src/model/state';
import { event, NOW_S, replica, snapshot } from '../example';
import { RecordedTransport } from '../recorded';

function begun() {
  const transport = new RecordedTransport();
  const frames: (() => void)[] = [];
  const timers: (() => void)[] = [];
  const clock = { nowS: NOW_S };
  const feed = new Feed(transport, {
    now: () => clock.nowS,
    frame: draw => void frames.push(draw),
    later: call => void timers.push(call)
  });
  return { transport, feed, clock, timers, draw: () => frames.splice(0).forEach(frame => frame()) };
}

test('the wishes of all views are joined, each is said once', () => {
  const { transport, feed } = begun();
  const one = feed.watch({ calls: ['a'], logs: ['a'] });
  const other = feed.watch({ calls: ['b', 'a'] });
  feed.watch();
  one.change({ calls: ['c'] });
  other.close();
  assert.deepEqual(
    transport.wishes.map(wish => [wish?.calls, wish?.logs]),
    [[['a'], ['a']], [['a', 'b'], ['a']], [['a', 'b', 'c'], []], [['c'], []]]
  );
});

test('when the last view closes or the page is hidden, nothing is wanted', () => {
  const { transport, feed } = begun();
  const view = feed.watch();
  feed.setVisible(false);
  assert.equal(transport.wishes.at(-1), null);
  feed.setVisible(true);
  assert.deepEqual(transport.wishes.at(-1)?.calls, []);
  view.close();
  view.change({ calls: ['late'] });
  assert.equal(transport.wishes.at(-1), null);
});

test('many messages before the next frame are drawn once', () => {
  const { transport, feed, draw } = begun();
  let drawn = 0;
  feed.store.subscribe(() => drawn++);
  transport.say({ type: 'snapshot', state: snapshot() });
  transport.say({ type: 'events', events: [event(11, 'replica', replica('a', 'busy'))] });
  assert.equal(drawn, 0);
  draw();
  draw();
  assert.equal(drawn, 1);
});

test('a lost replica leaves by itself', () => {
  const { transport, feed, clock, timers } = begun();
  transport.say({ type: 'snapshot', state: snapshot({ replicas: [replica('a', 'busy')] }) });
  transport.say({ type: 'events', events: [event(11, 'replica', replica('a', 'lost'))] });
  for (let second = 1; second <= 11; second++) {
    clock.nowS = NOW_S + second;
    timers.splice(0).forEach(timer => timer());
  }
  assert.deepEqual(find(feed.store.state, 'score')?.replicas, []);
  assert.equal(timers.length, 0);
});
