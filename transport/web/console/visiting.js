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
/** Milliseconds between two requests at least, whatever the clock says. */
const MIN_WAIT_MS = 3_000;
/** Milliseconds a code is shown at most, whatever the clock says: it is one of a minute. */
const MAX_WAIT_MS = 60_000 + MARGIN_MS;

/** @param {import('../console.js').Page} page @param {any} event */
export default function visiting(page, { id }) {
  const code = el('output', { class: 'figure' }, NONE);
  const image = el('div', { class: 'scan' });
  const fault = el('p', { class: 'bad', role: 'alert' });
  let here = true;
  /** @type {any} */
  let timer;
  const tick = async () => {
    const answer = await get(`/api/events/${id}/visit-code`).catch((error) => {
      show(fault, reason(error));
      return null;
    });
    if (!here) return;
    show(code, answer?.code ?? NONE);
    if (answer) show(fault);
    const left = answer ? Date.parse(answer.validUntil) - now() + MARGIN_MS : MIN_WAIT_MS;
    clearTimeout(timer);
    timer = setTimeout(tick, Math.min(Math.max(left, MIN_WAIT_MS), MAX_WAIT_MS));
    paint(image, id, answer);
  };
  tick();
  page.left(() => {
    here = false;
    clearTimeout(timer);
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
const linked = (id, token, kind) =>
  picture(`/api/events/${id}/qr.${kind}?channel=QR&v=${encodeURIComponent(token)}`);

/** @param {Element} place @param {string} id @param {any} answer of the code, or null */
async function paint(place, id, answer) {
  if (!answer?.token) return show(place);
  const src = await linked(id, answer.token, 'svg').catch(() => null);
  show(place, src && el('img', { src, alt: t('qr', { c: answer.code }), width: 160, height: 160 }));
}

/** @param {string} id */
function paper(id) {
  const place = el('div', {});
  /** @type {{token: string, validUntil: string}|null} */
  let made = null;
  const make = async () => {
    const { token, validUntil } = (made ??= await create(`/api/events/${id}/visit-paper`));
    const src = await linked(id, token, 'png');
    const remove = button(
      t('void'),
      async () => {
        if (!(await confirmed(t('void'), t('voidSure'), t('void')))) return;
        await api('DELETE', `/api/events/${id}/visit-paper`);
        made = null;
        show(place, el('p', { role: 'status' }, t('voided')));
      },
      { class: 'link' },
    );
    return [
      el('div', { class: 'scan' }, el('img', { src, alt: t('paper'), width: 160, height: 160 })),
      el('p', {}, t('until', { t: when(validUntil) })),
      el('div', { class: 'row' }, el('a', { href: src, download: 'visit.png' }, t('save')), remove),
    ];
  };
  return el(
    'div',
    {},
    button(t('paper'), () => fillIn(place, make), { class: 'plain' }),
    place,
  );
}
