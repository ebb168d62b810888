// The owner's events, and the first of the five steps: what for?
import { create, get } from '../api.js';
import { button, el, empty, failed, loading, show } from '../ui.js';
import { name, when } from '../words.js';
import { t } from '../words/events.js';

const OBJECTIVES = /** @type {const} */ (['NEW_CUSTOMERS', 'REVISIT', 'SALES', 'AWARENESS']);
const FILTERS = /** @type {const} */ (['all', 'drafting', 'upcoming', 'running', 'ended']);

/** @param {import('../console.js').Page} page */
export default async function events({ main, go }) {
  const standing = el('div', {}),
    list = el('div', {});
  let filter = 'all',
    query = '',
    asked = 0;
  const load = async () => {
    const mine = ++asked;
    show(list, loading());
    try {
      const status = filter === 'all' ? '' : `&status=${filter}`;
      const path = `/api/events?limit=20${status}${query ? `&q=${encodeURIComponent(query)}` : ''}`;
      const first = await get(path);
      if (mine !== asked) return;
      if (!first.items.length)
        return show(list, filter === 'all' && !query ? empty(t('none'), t('noneText')) : empty(t('noMatch')));
      show(list, ...rows(first, path));
    } catch (error) {
      if (mine === asked) show(list, failed(error, load));
    }
  };
  const tabs = el(
    'div',
    { class: 'tabs', role: 'group', 'aria-label': t('title') },
    FILTERS.map((f) =>
      el(
        'button',
        {
          type: 'button',
          'aria-pressed': String(f === filter),
          onclick: (/** @type {any} */ e) => {
            filter = f;
            for (const tab of tabs.children) tab.setAttribute('aria-pressed', String(tab === e.currentTarget));
            load();
          },
        },
        t(f),
      ),
    ),
  );
  /** @type {any} */
  let typing;
  const search = el('input', {
    type: 'search',
    'aria-label': t('search'),
    placeholder: t('search'),
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => {
        query = search.value.trim();
        load();
      }, 250);
    },
  });
  show(
    main,
    standing,
    el(
      'section',
      {},
      el('h2', {}, t('start')),
      el('p', { class: 'quiet' }, t('what')),
      el(
        'div',
        { class: 'choices' },
        OBJECTIVES.map((o) =>
          button(
            [el('strong', {}, name(o)), el('span', {}, t(o))],
            async () => go(`#event/${(await create('/api/events', { objective: o }, o)).id}`),
            { class: 'choice' },
          ),
        ),
      ),
    ),
    el('section', {}, el('h2', {}, t('title')), el('div', { class: 'row filters' }, tabs, search), list),
  );
  get('/api/stores').then(
    ({ items: [shop] }) => {
      const v = shop?.verification;
      if (v === 'PENDING' || v === 'REJECTED')
        show(standing, el('p', { class: `banner ${v === 'PENDING' ? 'info' : 'warning'}` }, t(v)));
    },
    () => {},
  );
  await load();
}

/**
 * One page of events and, if there is more, a button for the next. @param {any} page @param {string} path
 * @returns {any[]}
 */
function rows({ items, nextCursor }, path) {
  const more =
    nextCursor &&
    el(
      'div',
      { class: 'row' },
      button(t('more'), async () => more.replaceWith(...rows(await get(`${path}&cursor=${nextCursor}`), path)), {
        class: 'plain',
      }),
    );
  return [
    ...items.map((/** @type {any} */ e) =>
      el(
        'a',
        { class: 'card event', href: `#event/${e.id}` },
        el('span', { class: `badge ${e.status}` }, name(e.status)),
        el('strong', {}, e.title ?? t('untitled')),
        el('span', { class: 'quiet' }, `${name(e.objective)} · ${time(e)}`),
      ),
    ),
    more,
  ].filter(Boolean);
}

/** @param {any} e */
const time = (e) =>
  e.status === 'live' || e.status === 'paused'
    ? t('until', { t: when(e.endsAt) })
    : e.status === 'scheduled'
      ? t('from', { t: when(e.startsAt) })
      : t('made', { t: when(e.createdAt) });
