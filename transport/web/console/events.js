// The owner's events, and the first of the five steps: what for?
import { create, get } from '../api.js';
import { button, el, empty, failed, loading, show } from '../ui.js';
import { name, when, words } from '../words.js';

const t = words({
  title: ['내 이벤트', 'My events'], start: ['새 이벤트 만들기', 'Make a new event'], what: ['무엇을 위해 하나요? 고르면 AI가 바로 세 가지 안을 만듭니다.', 'What is it for? Choose, and three proposals are made at once.'],
  NEW_CUSTOMERS: ['우리 가게를 모르는 분들을 부릅니다', 'Bring in people who do not know the shop'], REVISIT: ['다녀가신 분들이 다시 오게 합니다', 'Bring back those who have been here'],
  SALES: ['이번 달 매출을 끌어올립니다', 'Raise the sales of this month'], AWARENESS: ['동네에 이름을 알립니다', 'Let the neighbourhood know the name'],
  all: ['전체', 'All'], drafting: ['작성중', 'Drafts'], upcoming: ['예정', 'Upcoming'], running: ['진행중', 'Running'], ended: ['종료', 'Ended'], search: ['이벤트 이름으로 찾기', 'Search by title'],
  none: ['아직 이벤트가 없습니다.', 'No events yet.'], noneText: ['위에서 목적을 하나 고르면 5분 안에 만들 수 있습니다.', 'Choose an objective above: it takes five minutes.'], noMatch: ['여기에 맞는 이벤트가 없습니다.', 'No event fits here.'],
  more: ['더 보기', 'More'], untitled: ['(이름 없는 초안)', '(untitled draft)'], until: ['{t}까지', 'until {t}'], from: ['{t}부터', 'from {t}'], made: ['{t}에 만듦', 'made {t}'],
  PENDING: ['사업자 확인을 기다리고 있습니다. 그동안 모두 이용할 수 있고, 확인은 자동으로 진행됩니다.', 'Your business is being verified. You may do everything meanwhile; it goes on by itself.'],
  REJECTED: ['사업자 확인이 되지 않아 진행중인 이벤트를 멈췄습니다. 사업자등록증 사본을 보내 주세요.', 'Your business could not be verified: live events are paused. Please send a copy of the certificate.'],
});
const OBJECTIVES = /** @type {const} */ (['NEW_CUSTOMERS', 'REVISIT', 'SALES', 'AWARENESS']);
const FILTERS = /** @type {const} */ (['all', 'drafting', 'upcoming', 'running', 'ended']);

/** @param {import('../console.js').Page} page */
export default async function events({ main, go }) {
  const standing = el('div', {}), list = el('div', {});
  let filter = 'all', query = '', asked = 0;
  const load = async () => {
    const mine = ++asked;
    show(list, loading());
    try {
      const path = `/api/events?limit=20${filter === 'all' ? '' : `&status=${filter}`}${query ? `&q=${encodeURIComponent(query)}` : ''}`;
      const first = await get(path);
      if (mine !== asked) return;
      if (!first.items.length) return show(list, filter === 'all' && !query ? empty(t('none'), t('noneText')) : empty(t('noMatch')));
      show(list, ...rows(first, path));
    } catch (error) {
      if (mine === asked) show(list, failed(error, load));
    }
  };
  const tabs = el('div', { class: 'tabs', role: 'group', 'aria-label': t('title') }, FILTERS.map((f) => el('button', { type: 'button', 'aria-pressed': String(f === filter), onclick: (/** @type {any} */ e) => {
    filter = f;
    for (const tab of tabs.children) tab.setAttribute('aria-pressed', String(tab === e.currentTarget));
    load();
  } }, t(f))));
  /** @type {any} */
  let typing;
  const search = el('input', { type: 'search', 'aria-label': t('search'), placeholder: t('search'), oninput: () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      query = search.value.trim();
      load();
    }, 250);
  } });
  show(main, standing, el('section', {}, el('h2', {}, t('start')), el('p', { class: 'quiet' }, t('what')),
    el('div', { class: 'choices' }, OBJECTIVES.map((o) => button([el('strong', {}, name(o)), el('span', {}, t(o))], async () => go(`#event/${(await create('/api/events', { objective: o }, o)).id}`), { class: 'choice' })))),
  el('section', {}, el('h2', {}, t('title')), el('div', { class: 'row filters' }, tabs, search), list));
  get('/api/stores').then(({ items: [shop] }) => {
    const v = shop?.verification;
    if (v === 'PENDING' || v === 'REJECTED') show(standing, el('p', { class: `banner ${v === 'PENDING' ? 'info' : 'warning'}` }, t(v)));
  }, () => {});
  await load();
}

/** One page of events and, if there is more, a button for the next. @param {any} page @param {string} path @returns {any[]} */
function rows({ items, nextCursor }, path) {
  const more = nextCursor && el('div', { class: 'row' }, button(t('more'), async () => more.replaceWith(...rows(await get(`${path}&cursor=${nextCursor}`), path)), { class: 'plain' }));
  return [...items.map((/** @type {any} */ e) => el('a', { class: 'card event', href: `#event/${e.id}` },
    el('span', { class: `badge ${e.status}` }, name(e.status)), el('strong', {}, e.title ?? t('untitled')), el('span', { class: 'quiet' }, `${name(e.objective)} · ${time(e)}`))), more].filter(Boolean);
}

/** @param {any} e */
const time = (e) => (e.status === 'live' || e.status === 'paused' ? t('until', { t: when(e.endsAt) }) : e.status === 'scheduled' ? t('from', { t: when(e.startsAt) }) : t('made', { t: when(e.createdAt) }));
