// The client module against the real server, its connection cut at random.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Live } from '../../web/live.js';
import { client, serve, tunnel, until } from './madang.mjs';

let server, wire, api, tokens;
before(async () => {
  wire = await tunnel();
  server = await serve({ MADANG_ALLOWED_ORIGINS: wire.base });
  wire.to(server.base);
  api = client(server.base);
  tokens = await api.signup();
});
after(async () => {
  await wire?.close();
  await server?.stop();
});

const url = () => `${wire.base.replace('http', 'ws')}/ws`;
const ticket = async () => (await api.call('POST', '/api/realtime/tickets', {})).ticket;
const quick = (options = {}) => new Live({ url: url(), ticket, backoffMs: 20, ...options });

test('a log across many cuts: every update once and in order; a state: its last value', async () => {
  const states = [];
  const live = quick({ onState: (s) => states.push(s) });
  const chaos = setInterval(() => wire.snap(), 130);
  try {
    for (let round = 0; round < 3; round++) {
      const event = await api.live(['WOORI_TV', 'RINGO_BIZ', 'GENIE_TV', 'INSTAGRAM', 'NAVER', 'KAKAO']);
      let offset = null, ended = false, snapshots = 0, count = -1;
      const leave = live.subscribe(`distribution:${event.distributionId}`, {
        onSnapshot: (snapshot, position) => {
          snapshots++;
          ended = Boolean(snapshot.endedAt);
          assert.ok(offset === null || position.offset >= offset);
          offset = position.offset;
        },
        onUpdate: ({ kind, position }) => {
          assert.equal(position.offset, offset + 1, 'no gap, no duplicate');
          offset = position.offset;
          ended ||= kind === 'distribution.ended';
        },
      });
      const seen = (data) => {
        const now = data.cards.participants;
        assert.ok(now >= count, 'never back');
        count = now;
      };
      live.subscribe(`event:${event.id}`, { onSnapshot: seen, onUpdate: ({ data }) => seen(data) });
      for (let n = 0; n < 60; n++) await api.enter(event.slug, n);
      await until('the last value', () => count === 60);
      await until('the end of the log', () => ended);
      assert.ok(snapshots >= 1);
      leave();
    }
  } finally {
    clearInterval(chaos);
  }
  assert.ok(states.filter((s) => s === 'waiting').length > 3, `it was cut: ${states}`);
  live.close();
});

test('states are told, and close is the end', async () => {
  const states = [];
  const live = quick({ onState: (s) => states.push(s) });
  await until('open', () => live.state === 'open');
  wire.cut();
  await until('waiting', () => states.includes('waiting'));
  wire.mend();
  await until('open again', () => live.state === 'open');
  live.close();
  assert.equal(live.state, 'closed');
  wire.snap();
  live.wake();
  assert.equal(live.state, 'closed');
  assert.deepEqual([states[0], states.at(-1)], ['connecting', 'closed']);
});

test('a wire that swallows everything is noticed', async () => {
  const live = quick({ aliveMs: 300, answerMs: 300 });
  await until('open', () => live.state === 'open');
  wire.swallow(true);
  await until('given up', () => live.state !== 'open', 5_000);
  wire.swallow(false);
  await until('open again', () => live.state === 'open');
  live.close();
});

test('what is refused is said, and a login that ended ends it', async () => {
  const live = quick();
  const refused = await new Promise((resolve) => live.subscribe(`event:${crypto.randomUUID()}`, { onRefused: resolve }));
  assert.equal(refused, 'topic-forbidden');
  const other = quick({ ticket: async () => Promise.reject(Live.SIGNED_OUT) });
  await until('closed', () => other.state === 'closed');
  const anonymous = new Live({ url: url(), backoffMs: 20 });
  const forbidden = await new Promise((resolve) => anonymous.subscribe(`owner:${tokens.user.id}`, { onRefused: resolve }));
  assert.equal(forbidden, 'topic-forbidden');
  anonymous.close();
  live.close();
});

test('a second listener of a topic takes the first one’s place, and gets a snapshot', async () => {
  const event = await api.live();
  const live = quick();
  let first = 0;
  await new Promise((resolve) => live.subscribe(`event:${event.id}`, { onSnapshot: resolve, onUpdate: () => first++ }));
  let count = -1;
  const leaveSecond = live.subscribe(`event:${event.id}`, { onSnapshot: (s) => (count = s.cards.participants), onUpdate: ({ data }) => (count = data.cards.participants) });
  await until('its snapshot', () => count === 0);
  const before = first;
  await api.enter(event.slug, 5);
  await until('its update', () => count === 1);
  assert.equal(first, before);
  leaveSecond();
  live.close();
});
