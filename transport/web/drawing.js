// The draw on the customer page: the winners, and a check of the whole proof when a customer asks for it.
import { canCheck, checkProof, included } from './proof.js';
import { button, el, fillIn, show } from './ui.js';
import { language, number } from './words.js';
import { t } from './words/event.js';

/** An entry of this browser. @typedef {{receipt: string, entry: any}} Owned */

/**
 * @param {any} event @param {string} base address of the event in the API
 * @param {(method: string, path: string) => Promise<any>} call @param {Owned[]} mine
 */
export function drawing(event, base, call, mine) {
  const list = el('div', {});
  const checks = el('ul', { class: 'plain-list', role: 'status' });
  fillIn(list, async () => {
    const { winners } = await call('GET', `${base}/winners`);
    return winners.length ? el('ol', { class: 'winners' }, winners.map(winner)) : el('p', {}, t('nobody'));
  });
  const looking = async () => {
    if (!canCheck()) throw new Error(t('insecure'));
    show(checks, await checked(event, await call('GET', `${base}/draw`), mine));
  };
  return el(
    'section',
    { class: 'card' },
    el('h2', {}, t('winners')),
    list,
    el('p', { class: 'quiet' }, t('says')),
    checks,
    el(
      'div',
      { class: 'row' },
      button(t('check'), looking, { class: 'plain' }),
      el('a', { href: `${base}/draw`, download: `${event.slug}-draw.json` }, t('proof')),
    ),
  );
}

/** @param {any} w */
const winner = (w) =>
  el(
    'li',
    {},
    el('strong', {}, w.prize),
    ' ',
    t('no', { n: number(w.entryNo) }),
    ' ',
    el('span', { class: 'quiet' }, w.maskedPhone),
  );

/** @param {boolean} fine @param {string} right @param {string} wrong */
const line = (fine, right, wrong) => el('li', { class: fine ? 'good' : 'bad' }, fine ? `✓ ${right}` : `✕ ${wrong}`);

/** A line for each thing that was checked here. @param {any} event @param {any} proof @param {Owned[]} mine */
async function checked(event, proof, mine) {
  const { promised, listed } = await checkProof(proof, event.draw);
  const own = mine
    .filter(({ entry }) => entry?.draw)
    .map(async ({ receipt, entry: { entryNo, draw } }) => {
      const inside = listed && (await included(receipt, entryNo, draw.inclusionProof, proof));
      const n = number(entryNo);
      return line(inside, t('member', { n }), t('notMember', { n }));
    });
  const about = proof.says?.[language];
  return [
    line(promised, t('promised'), t('notPromised')),
    line(listed, t('listed', { n: number(proof.count) }), t('notListed')),
    ...(await Promise.all(own)),
    about && el('li', { class: 'quiet' }, about),
  ];
}
