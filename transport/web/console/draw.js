// The draw: why it is fair, drawing once, and the proof, checked in this browser.
import { create, get } from '../api.js';
import { randomHex } from '../once.js';
import { canCheck, checkProof } from '../proof.js';
import { button, confirmed, el, field, form, keepTyped, show, typed } from '../ui.js';
import { number } from '../words.js';
import { t } from '../words/draw.js';

/** @param {import('../console.js').Page} page */
export default async function draw(page) {
  const event = await get(`/api/events/${page.id}`);
  const { items } = await get(`/api/events/${page.id}/draws`);
  show(
    page.main,
    el('h2', {}, `${event.title} – ${t('title')}`),
    el('p', {}, el('a', { href: `#event/${page.id}` }, `← ${t('back')}`)),
    items.length
      ? result(event, items[0])
      : event.status === 'closed'
        ? ready(page, event)
        : el('p', { class: 'banner info' }, t(event.status === 'purged' && event.closedAt ? 'late' : 'wait')),
    el(
      'section',
      { class: 'card' },
      el('h3', {}, t('why')),
      el('ol', {}, el('li', {}, t('m1')), el('li', {}, t('m2')), el('li', {}, t('m3'))),
      event.commitment && [el('p', { class: 'quiet' }, t('commitment')), el('p', { class: 'mono' }, event.commitment)],
    ),
  );
}

/** @param {import('../console.js').Page} page @param {any} event */
const ready = (page, event) =>
  el(
    'section',
    { class: 'card' },
    form(
      [field('alternates', t('alternates'), { type: 'number', min: 0, max: 100, value: 5 })],
      t('draw'),
      async (v) => {
        if (!(await confirmed(t('draw'), t('sure'), t('draw')))) return;
        await create(`/api/events/${event.id}/draws`, {
          alternates: Number(v.alternates),
          external: ownNumber(event.id),
        });
        await page.again();
      },
    ),
  );

/**
 * The random number of this browser: the same for every press, so that a repetition is the same request.
 * @param {string} id
 */
function ownNumber(id) {
  const key = `number ${id}`,
    known = typed(key);
  if (/^[0-9a-f]{64}$/.test(known)) return known;
  const fresh = randomHex(32);
  keepTyped(key, fresh);
  return fresh;
}

/** @param {any} event @param {any} drawn */
function result(event, drawn) {
  const { proof } = drawn;
  const checks = el('ul', { class: 'plain-list', role: 'status' });
  const line = (/** @type {boolean} */ fine, /** @type {string} */ text) =>
    el('li', { class: fine ? 'good' : 'bad' }, fine ? `✓ ${text}` : `✕ ${text}: ${t('bad')}`);
  return [
    el(
      'section',
      { class: 'card' },
      el('h3', {}, t('winners')),
      drawn.winners.length
        ? el(
            'ol',
            { class: 'winners' },
            drawn.winners.map((/** @type {any} */ w) =>
              el(
                'li',
                {},
                el('strong', {}, w.prize),
                ' ',
                t('nth', { n: number(w.entryNo) }),
                ' ',
                el('span', { class: 'quiet' }, w.maskedPhone),
              ),
            ),
          )
        : el('p', {}, t('none')),
      drawn.alternates.length > 0 &&
        el(
          'details',
          {},
          el('summary', {}, `${t('second')} (${drawn.alternates.length})`),
          el(
            'ol',
            {},
            drawn.alternates.map((/** @type {any} */ w) =>
              el('li', {}, t('nth', { n: number(w.entryNo) }), ' ', el('span', { class: 'quiet' }, w.maskedPhone)),
            ),
          ),
        ),
    ),
    el(
      'section',
      { class: 'card' },
      el('h3', {}, t('proof')),
      el('p', {}, t('says'), !proof.external && ` ${t('saysAlone')}`),
      checks,
      el(
        'div',
        { class: 'row' },
        button(
          t('check'),
          async () => {
            if (!canCheck()) throw new Error(t('insecure'));
            // The public draw file, against the hashes that were public before the draw.
            const [published, { draw: promises }] = await Promise.all(
              ['/draw', ''].map((part) => get(`/api/participation/events/${event.slug}${part}`)),
            );
            const { promised, listed } = await checkProof(published, promises);
            show(checks, line(promised, t('ok1')), line(listed, t('ok2', { n: number(published.count) })));
          },
          { class: 'plain' },
        ),
        el(
          'a',
          { href: `/api/participation/events/${event.slug}/draw`, download: `${event.slug}-draw.json` },
          t('file'),
        ),
      ),
      el('p', { class: 'quiet' }, t('rest')),
      el(
        'dl',
        { class: 'mono' },
        [
          ['seed', proof.seed],
          ['external', proof.external ?? t('noExternal')],
          ['root', proof.root],
        ].map(([key, value]) => [el('dt', {}, t(key)), el('dd', {}, value)]),
      ),
    ),
  ];
}
