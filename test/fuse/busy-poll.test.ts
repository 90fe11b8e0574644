import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusyPoll } from '../../src/fuse/transport/busy-poll.ts';

/** A clock and an event loop that only move when told to. */
class ManualLoop {
  ms = 1000;
  #queued: (() => void)[] = [];

  now(): number {
    return this.ms;
  }

  nextTurn(callback: () => void): void {
    this.#queued.push(callback);
  }

  /** One turn; answers whether something wanted it. */
  turn(): boolean {
    const queued = this.#queued;
    this.#queued = [];
    for (const callback of queued) callback();
    return queued.length > 0;
  }
}

test('requests now and then let the loop sleep', () => {
  const loop = new ManualLoop();
  const poll = new BusyPoll(loop);
  for (let i = 0; i < 5; i++) {
    poll.note();
    assert.equal(loop.turn(), false);
    loop.ms += 5;
  }
});

test('dense requests keep the loop turning, and only for a moment after the last', () => {
  const loop = new ManualLoop();
  const poll = new BusyPoll(loop);
  poll.note();
  loop.ms += 0.1;
  poll.note();
  for (let i = 0; i < 3; i++) {
    assert.equal(loop.turn(), true);
    loop.ms += 0.09;
  }
  poll.note();
  assert.equal(loop.turn(), true, 'a further request prolongs it');
  loop.ms += 0.31;
  loop.turn();
  assert.equal(loop.turn(), false, 'nothing came: the loop may sleep');
});

test('one callback at a time, however many requests come', () => {
  const loop = new ManualLoop();
  const poll = new BusyPoll(loop);
  for (let i = 0; i < 10; i++) poll.note();
  let callbacks = 0;
  const nextTurn = loop.nextTurn.bind(loop);
  loop.nextTurn = (callback) => {
    callbacks++;
    nextTurn(callback);
  };
  loop.turn();
  assert.equal(callbacks, 1);
});
