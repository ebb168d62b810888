// Rules of the pages, without a browser: codes as they are typed, the server's time, the proof of a draw.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { learn, learnFrom, now } from '../../web/clock.js';
import { checkProof, included } from '../../web/proof.js';
import { visitCodeOf } from '../../web/visitcodes.js';

// The modules of pages that need a browser get as much of one as they ask for.
Object.assign(globalThis, { addEventListener: () => {}, document: { documentElement: {} } });
const { once } = await import('../../web/once.js');
const source = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

/** What happened to an event is said in the console's history, whatever it was. */
test('every fact of an event has a word', async () => {
  const { t } = await import('../../web/words/running.js');
  const kinds = [...source('actors/domain/src/event/fact.rs').matchAll(/^ +Self::\w+ \{[ .]*\} => "([\w-]+)",$/gm)].map(([, kind]) => kind);
  assert.ok(kinds.length > 15 && kinds.includes('visit-papers-voided'), kinds.join());
  for (const kind of kinds) assert.notEqual(t(/** @type {any} */ (kind)), kind);
});

test('the editor of pictures says the budget as it is', async () => {
  const { t } = await import('../../web/words/pictures.js');
  const [, limit] = source('actors/src/pictures.rs').match(/MAX_COMPOSITIONS_PER_DAY: i64 = (\d+);/) ?? [];
  assert.ok(t('counts').includes(`${limit}번`), limit);
});

/** A key that the server knows from something else is given up, and so is the one after it. */
test('a key is used until there is an answer, and no longer', async () => {
  const keys = [];
  const sent = (answer) => once('a thing', async (key) => {
    keys.push(key);
    return answer(keys.length);
  });
  const error = (given) => Promise.reject(Object.assign(new Error(), given));
  await assert.rejects(sent(() => error({})));
  await assert.rejects(sent(() => error({ status: 503 })));
  await sent((n) => (n === 3 ? error({ status: 422, code: 'idempotency-key-reused' }) : 'made'));
  await sent(() => 'made');
  assert.equal(keys.length, 5);
  assert.deepEqual([keys[1], keys[2]], [keys[0], keys[0]], 'without an answer it is the same');
  assert.equal(new Set(keys).size, 3, 'each thing that is made has a key of its own');
});

/** Case 30: what the page understands, without a server. */
test('visit codes are read in every spelling, and nothing else is one', () => {
  for (const typed of ['265744', '265 744', '265-744', '265–744', '２６５７４４', ' 265\u00a0744\n', '2 6 5 7 4 4', '265.744']) assert.equal(visitCodeOf(typed), '265744', typed);
  for (const typed of ['', '26574', '2657441', 'abcdef', '26574a']) assert.equal(visitCodeOf(typed), null, typed);
  assert.equal(visitCodeOf('https://shop.kr/e/abc?c=QR&v=0123456789abcdef0123'), '0123456789abcdef0123');
});

/** Has the page hear twenty answers, each after so many ms, by a clock that is off by so many. */
function hear(off, took) {
  for (let n = 0; n < 20; n++) {
    const sent = Date.now() - n * 137;
    const server = sent + off + took / 2;
    learn(Math.floor(server / 1_000) * 1_000, 1_000, sent, sent + took);
  }
}

/** Cases 15 and 16. */
test('the server’s time is known to half a second after some answers, and a clock that may be right is left alone', () => {
  for (const off of [7_200_000, -7_200_000, 300_000, -600_000, 2_592_000_000]) {
    // Each contradicts what was known: the clock was set.
    hear(off, 100);
    assert.ok(Math.abs(now() - Date.now() - off) < 600, `${now() - Date.now()} for ${off}`);
  }
  hear(0, 100);
  assert.ok(Math.abs(now() - Date.now()) < 2, 'not moved without a reason');
});

test('neither what a cache kept nor what is no time moves the clock', () => {
  hear(0, 100);
  const before = now() - Date.now();
  const old = new Date(Date.now() - 60_000).toUTCString();
  const answers = [{ date: old, age: '60' }, { date: old, 'cache-control': 'public, max-age=60' }, { date: 'yesterday' }, {}];
  for (const headers of answers) learnFrom(/** @type {any} */ ({ headers: new Headers(headers) }), Date.now());
  learn(NaN, 0, Date.now());
  assert.ok(Math.abs(now() - Date.now() - before) < 2);
});

/** What the browser computes is what the second implementation computed. */
test('the browser’s check agrees with the vectors of the draw', async () => {
  const vectors = JSON.parse(readFileSync(new URL('../../../actors/domain/src/draw/vectors.json', import.meta.url), 'utf8'));
  for (const proof of vectors) {
    const { commitment, root } = proof;
    assert.deepEqual(await checkProof(proof, { commitment, root }), { promised: true, listed: true });
    assert.equal((await checkProof(proof, { commitment: root, root })).promised, false);
    assert.equal((await checkProof(proof, { commitment, root: commitment })).listed, false);
    const { rules } = proof;
    const more = { ...rules, prizes: [...rules.prizes, { name: '하나 더', quantity: 1 }] };
    assert.equal((await checkProof({ ...proof, rules: more }, { commitment, root })).listed, false);
  }
});

const hash = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest();

/** Leaves, root and paths of a tree of so many entries, made in another way than the page's. */
function tree(count) {
  const receipts = Array.from({ length: count }, (_, i) => hash(Buffer.from([i])).toString('hex').slice(0, 32));
  let level = receipts.map((receipt, i) => {
    const numbers = Buffer.alloc(12);
    numbers.writeBigUInt64BE(BigInt(i + 1));
    numbers.writeUInt32BE(3, 8);
    return hash(Buffer.from([0]), numbers, hash(Buffer.from(receipt)));
  });
  const levels = [];
  for (; level.length > 1; level = level.flatMap((left, i) => (i % 2 ? [] : level[i + 1] ? hash(Buffer.from([1]), left, level[i + 1]) : left))) levels.push(level);
  const path = (i) => levels.flatMap((all, height) => all[(i >> height) ^ 1] ?? []).map((h) => h.toString('hex'));
  return { receipts, path, proof: { count, merkleRoot: level[0].toString('hex') } };
}

/** The low one of the attacks: a path is checked, not only there. */
test('a receipt is in the list only with its number, weight and path', async () => {
  for (const count of [1, 2, 3, 5, 8, 13]) {
    const { receipts, path, proof } = tree(count);
    for (const [i, receipt] of receipts.entries()) {
      const right = { weight: 3, path: path(i) };
      assert.equal(await included(receipt, i + 1, right, proof), true, `${i} of ${count}`);
      const wrong = [
        included(`${receipt}0`, i + 1, right, proof),
        included(receipt, i + 2, right, proof),
        included(receipt, i + 1, { ...right, weight: 4 }, proof),
        included(receipt, i + 1, { ...right, path: [...right.path, 'ab'.repeat(32)] }, proof),
        included(receipt, i + 1, right, { ...proof, merkleRoot: 'ab'.repeat(32) }),
        included(receipt, i + 1, undefined, proof),
      ];
      assert.deepEqual(await Promise.all(wrong), wrong.map(() => false), `${i} of ${count}`);
    }
  }
});
