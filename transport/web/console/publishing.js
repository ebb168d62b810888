// How the publishing goes, channel by channel: what happened, what can be done, and trying again only what failed.
import { get, post } from '../api.js';
import { button, copy, el, failed, loading, ownPicture, show } from '../ui.js';
import { name, said } from '../words.js';
import { t } from '../words/publishing.js';

/** @type {Record<string, string>} */
const MARK = {
  published: '✓',
  assisted: '✎',
  failed: '✕',
  skipped: '–',
  unknown: '?',
  recalled: '↩',
  'awaiting-review': '…',
};

/**
 * @param {import('../console.js').Page} page @param {string} id @param {Element} place
 * @param {boolean} over nothing is posted for it any more
 */
export function publishing(page, id, place, over) {
  /** @type {any} */
  let d = null;
  const paint = () =>
    show(
      place,
      el('h3', {}, t('title')),
      el('p', { role: 'status' }, summary(d)),
      el(
        'ul',
        { class: 'plain-list' },
        d.channels.map((/** @type {any} */ c) => channel(d, c)),
      ),
      !over && retry(d),
    );
  const read = async () => {
    d = await get(`/api/distribution/${id}`);
    paint();
  };
  show(place, loading());
  page.follow(`distribution:${id}`, {
    onSnapshot: (snapshot) => {
      d = snapshot;
      paint();
    },
    onUpdate: ({ data }) => {
      // One channel of it, or the whole.
      d = data.channels
        ? data
        : {
            ...d,
            status: data.distribution.status,
            channels: d.channels.map((/** @type {any} */ c) => (c.channel === data.channel ? data : c)),
          };
      paint();
    },
    onRefused: (code) => show(place, failed(new Error(code), read)),
  });
}

/** @param {any} d */
function summary(d) {
  const going = d.channels.some((/** @type {any} */ c) => ['queued', 'publishing', 'retrying'].includes(c.status));
  const done = d.channels.filter(
    (/** @type {any} */ c) => !['queued', 'publishing', 'retrying'].includes(c.status),
  ).length;
  if (going)
    return [
      `${t('going')} (${done}/${d.channels.length}) `,
      el('progress', { max: d.channels.length, value: done, 'aria-label': t('going') }),
    ];
  const any = (/** @type {string} */ status) =>
    d.status === 'completed' && d.channels.some((/** @type {any} */ c) => c.status === status);
  if (any('assisted')) return t('yours');
  if (any('awaiting-review')) return t('review');
  if (
    d.status === 'recalled' &&
    d.channels.some((/** @type {any} */ c) => ['published', 'awaiting-review', 'unknown'].includes(c.status))
  )
    return t('recalledSome');
  return (
    { completed: t('completed'), partial: t('partial'), failed: t('failedAll'), recalled: t('recalledAll') }[
      /** @type {string} */ (d.status)
    ] ?? t('going')
  );
}

/** @param {any} d @param {any} c */
const channel = (d, c) =>
  el(
    'li',
    { class: `channel ${c.status}` },
    el('span', { class: 'mark', 'aria-hidden': 'true' }, MARK[c.status] ?? '○'),
    el('strong', {}, name(c.channel)),
    ' ',
    el('span', {}, t(c.status)),
    ' ',
    el(
      'span',
      { class: c.mode === 'SANDBOX' ? 'badge sandbox' : 'badge' },
      c.mode === 'SANDBOX' ? `SANDBOX ${t('simulated')}` : c.mode,
    ),
    c.attempts > 1 && el('span', { class: 'quiet' }, ` ${t('attempts', { n: c.attempts })}`),
    c.url &&
      c.mode !== 'SANDBOX' &&
      c.status !== 'recalled' &&
      c.status !== 'assisted' &&
      safe(c.url) &&
      el('a', { href: c.url, target: '_blank', rel: 'noopener noreferrer' }, t('open')),
    c.error && el('p', { class: c.status === 'retrying' ? 'quiet' : 'bad' }, said(c.error)),
    c.text &&
      c.status === 'assisted' &&
      el(
        'div',
        {},
        el('p', { class: 'prepared' }, c.text),
        c.imageUrl &&
          safe(c.imageUrl) &&
          el('p', {}, el('img', { src: ownPicture(c.imageUrl), alt: '', width: 200, loading: 'lazy' })),
        el(
          'div',
          { class: 'row' },
          button(t('copy'), () => copy(c.text), { class: 'link' }),
          c.imageUrl && safe(c.imageUrl) && el('a', { href: ownPicture(c.imageUrl), download: '' }, t('picture')),
        ),
      ),
    c.status === 'unknown' &&
      el(
        'div',
        {},
        el('p', {}, t('ask')),
        el(
          'div',
          { class: 'row' },
          [true, false].map((posted) =>
            button(
              posted ? t('there') : t('notThere'),
              () => post(`/api/distribution/${d.id}/confirm`, { channel: c.channel, posted }),
              { class: 'plain' },
            ),
          ),
        ),
      ),
  );

/**
 * A simulated post is nowhere to be opened, and a provider's link is one only when it is of the web.
 * @param {string} url
 */
const safe = (url) => /^https?:\/\//.test(url);

/** @param {any} d */
function retry(d) {
  const again = d.channels
    .filter((/** @type {any} */ c) => ['failed', 'skipped'].includes(c.status) && c.mode !== 'OFF')
    .map((/** @type {any} */ c) => c.channel);
  return (
    again.length > 0 &&
    el(
      'div',
      { class: 'row' },
      button(t('retry'), () => post(`/api/distribution/${d.id}/retry`, { channels: again })),
    )
  );
}
