// The code for visitors: the digits and the QR code of this minute for a screen, and a QR code of a day for paper.
import { api, create, get, picture } from '../api.js';
import { now } from '../clock.js';
import { button, confirmed, el, fillIn, reason, show } from '../ui.js';
import { when } from '../words.js';
import { t } from '../words/visiting.js';

/** Shown while there is no code: an old one is worse than none. */
const NONE = '······';
/** Milliseconds past the end of a code until the next is asked for: the page's clock is right to a second or so. */
const MARGIN_MS = 800;
/** Milliseconds between two requests at least, for a page whose clock is wrong. */
const MIN_WAIT_MS = 3_000;
/** Milliseconds until the next code at most, for a page whose clock is wrong: a code is one of a minute. */
const MAX_WAIT_MS = 60_000 + MARGIN_MS;
/** Milliseconds past its end that a code stays while the next is asked for: in time, one follows the other without a gap. */
const LAPSE_MS = 2_000;

/** @param {import('../console.js').Page} page @param {any} event */
export default function visiting(page, { id }) {
  const code = el('output', { class: 'figure' }, NONE);
  const image = el('div', { class: 'scan' });
  const fault = el('p', { class: 'bad', role: 'alert' });
  /** @type {any} */
  let shown = null;
  /** @type {any} */
  let timer;
  /** @type {any} */
  let lapse;
  let asked = -Infinity;
  let turn = 0;
  const say = async (/** @type {any} */ answer) => {
    shown = answer;
    show(code, answer?.code ?? NONE);
    if (!answer) show(image);
    const src = answer?.token ? await linked(id, answer.token, 'svg').catch(() => null) : null;
    if (shown === answer) {
      show(image, src && el('img', { src, alt: t('qr', { c: answer.code }), width: 160, height: 160 }));
    }
  };
  const left = () => (shown ? Date.parse(shown.validUntil) - now() : 0);
  const expire = () => shown && left() < -LAPSE_MS && say(null);
  const tick = async () => {
    const own = ++turn;
    asked = Date.now();
    expire();
    const answer = await get(`/api/events/${id}/visit-code`).catch((error) => {
      if (own === turn) show(fault, reason(error));
      return null;
    });
    if (own !== turn) return;
    // Without an answer a code stays as long as it is one.
    if (answer || left() <= 0) say(answer);
    if (answer) show(fault);
    clearTimeout(timer);
    clearTimeout(lapse);
    const wait = Math.min(Math.max(answer ? left() + MARGIN_MS : MIN_WAIT_MS, MIN_WAIT_MS), MAX_WAIT_MS);
    timer = setTimeout(tick, wait);
    lapse = setTimeout(expire, wait + LAPSE_MS);
  };
  // A device that slept ran no timers, and its clock may have gone anywhere.
  const wake = () => {
    if (document.hidden) return;
    expire();
    if (!shown || Math.abs(Date.now() - asked) >= MIN_WAIT_MS) tick();
  };
  tick();
  document.addEventListener('visibilitychange', wake);
  addEventListener('online', wake);
  page.left(() => {
    turn++;
    clearTimeout(timer);
    clearTimeout(lapse);
    document.removeEventListener('visibilitychange', wake);
    removeEventListener('online', wake);
  });
  return el(
    'div',
    {},
    el('strong', {}, t('code')),
    el('div', {}, code),
    image,
    el('p', { class: 'quiet' }, t('note'), ' ', t('scan')),
    fault,
    paper(id),
  );
}

/** The link with a token, as a QR code. @param {string} id @param {string} token @param {'svg'|'png'} kind */
const linked = (id, token, kind) => picture(`/api/events/${id}/qr.${kind}?channel=QR&v=${encodeURIComponent(token)}`);

/** @param {string} id */
function paper(id) {
  const place = el('div', {});
  /** @type {{token: string, validUntil: string}|null} */
  let made = null;
  const make = async () => {
    if (made && Date.parse(made.validUntil) <= now()) made = null;
    const { token, validUntil } = (made ??= await create(`/api/events/${id}/visit-paper`));
    const src = await linked(id, token, 'png');
    return [
      el('div', { class: 'scan' }, el('img', { src, alt: t('paper'), width: 160, height: 160 })),
      el('p', {}, t('until', { t: when(validUntil) })),
      el('div', { class: 'row' }, el('a', { href: src, download: 'visit.png' }, t('save'))),
    ];
  };
  // A paper may hang in the shop that this page did not make.
  const remove = async () => {
    if (!(await confirmed(t('void'), t('voidSure'), t('void')))) return;
    await api('DELETE', `/api/events/${id}/visit-paper`);
    made = null;
    show(place, el('p', { role: 'status' }, t('voided')));
  };
  return el(
    'div',
    {},
    el(
      'div',
      { class: 'row' },
      button(t('paper'), () => fillIn(place, make), { class: 'plain' }),
      button(t('void'), remove, { class: 'link' }),
    ),
    place,
  );
}
