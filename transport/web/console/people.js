// Who entered, masked.
import { get } from '../api.js';
import { button, el, empty, failed, loading, select, show } from '../ui.js';
import { name, number, when } from '../words.js';
import { t } from '../words/people.js';

const SOURCES = ['WOORI_TV', 'RINGO_BIZ', 'GENIE_TV', 'INSTAGRAM', 'NAVER', 'KAKAO', 'QR', 'DIRECT'];

/** @param {import('../console.js').Page} page */
export default async function people({ main, id }) {
  const event = await get(`/api/events/${id}`),
    list = el('div', {});
  const channel = select({ 'aria-label': t('channel'), onchange: () => load() }, [
    ['', t('all')],
    ...SOURCES.map((s) => /** @type {[string, string]} */ ([s, name(s)])),
  ]);
  const visited = select({ 'aria-label': t('visited'), onchange: () => load() }, [
    ['', t('any')],
    ['true', t('yes')],
    ['false', t('noVisit')],
  ]);
  const path = (/** @type {string|null} */ cursor) => {
    const asked = { limit: '50', channel: channel.value, visited: visited.value, cursor: cursor ?? '' };
    return `/api/events/${id}/participants?${new URLSearchParams(Object.entries(asked).filter(([, value]) => value))}`;
  };
  const load = async () => {
    show(list, loading());
    try {
      const first = await get(path(null));
      if (!first.items.length && event.status === 'purged') return show(list, empty(t('purged')));
      if (!first.items.length)
        return show(list, channel.value || visited.value ? empty(t('noMatch')) : empty(t('none'), t('noneText')));
      const body = el('tbody', {}),
        foot = el('div', { class: 'row' });
      const add = (/** @type {any} */ page) => {
        body.append(
          ...page.items.map((/** @type {any} */ p) =>
            el(
              'tr',
              {},
              el('th', { scope: 'row', class: 'number' }, number(p.entryNo)),
              el('td', {}, p.maskedName || el('span', { class: 'quiet' }, t('destroyed'))),
              el('td', {}, p.maskedPhone),
              el('td', {}, name(p.channel)),
              el('td', {}, p.visited ? '✓' : ''),
              el('td', {}, when(p.enteredAt)),
            ),
          ),
        );
        show(
          foot,
          page.nextCursor && button(t('more'), async () => add(await get(path(page.nextCursor))), { class: 'plain' }),
        );
      };
      add(first);
      show(
        list,
        el(
          'div',
          { class: 'card scroll', tabindex: '0', role: 'region', 'aria-label': t('title') },
          el(
            'table',
            {},
            el(
              'thead',
              {},
              el(
                'tr',
                {},
                [t('no'), t('name'), t('phone'), t('channel'), t('visited'), t('at')].map((h) =>
                  el('th', { scope: 'col' }, h),
                ),
              ),
            ),
            body,
          ),
        ),
        foot,
      );
    } catch (error) {
      show(list, failed(error, load));
    }
  };
  show(
    main,
    el('h2', {}, `${event.title} – ${t('title')}`),
    el('p', {}, el('a', { href: `#event/${id}` }, `← ${t('back')}`)),
    el('p', { class: 'quiet' }, t('masked')),
    el('div', { class: 'row filters' }, channel, visited),
    list,
  );
  await load();
}
