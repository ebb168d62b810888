// Who entered, masked.
import { get } from '../api.js';
import { button, el, empty, failed, loading, select, show } from '../ui.js';
import { name, number, when, words } from '../words.js';

const t = words({
  title: ['응모자', 'Entrants'], back: ['이벤트로 돌아가기', 'Back to the event'], masked: ['이름과 전화번호는 가려서 보여 드립니다.', 'Names and phone numbers are masked.'], channel: ['채널', 'Channel'], all: ['모든 채널', 'All channels'], visited: ['매장 방문', 'Visited'], any: ['방문 여부 전체', 'Visited or not'], yes: ['방문함', 'Visited'], noVisit: ['방문하지 않음', 'Not visited'],
  no: ['번호', 'No.'], name: ['이름', 'Name'], phone: ['전화번호', 'Phone'], at: ['응모 시각', 'Entered'], more: ['더 보기', 'More'], none: ['아직 응모한 분이 없습니다.', 'Nobody has entered yet.'], noneText: ['QR 코드와 링크를 알리면 여기에 나타납니다.', 'Share the link or the QR code, and they appear here.'], destroyed: ['파기됨', 'Destroyed'], purged: ['개인정보를 모두 파기했습니다.', 'All personal data is destroyed.'], noMatch: ['조건에 맞는 분이 없습니다.', 'Nobody fits.'],
});
const SOURCES = ['WOORI_TV', 'RINGO_BIZ', 'GENIE_TV', 'INSTAGRAM', 'NAVER', 'KAKAO', 'QR', 'DIRECT'];

/** @param {import('../console.js').Page} page */
export default async function people({ main, id }) {
  const event = await get(`/api/events/${id}`), list = el('div', {});
  const channel = select({ 'aria-label': t('channel'), onchange: () => load() }, [['', t('all')], ...SOURCES.map((s) => /** @type {[string, string]} */ ([s, name(s)]))]);
  const visited = select({ 'aria-label': t('visited'), onchange: () => load() }, [['', t('any')], ['true', t('yes')], ['false', t('noVisit')]]);
  const path = (/** @type {string|null} */ cursor) => `/api/events/${id}/participants?limit=50${channel.value && `&channel=${channel.value}`}${visited.value && `&visited=${visited.value}`}${cursor ? `&cursor=${cursor}` : ''}`;
  const load = async () => {
    show(list, loading());
    try {
      const first = await get(path(null));
      if (!first.items.length && event.status === 'purged') return show(list, empty(t('purged')));
      if (!first.items.length) return show(list, channel.value || visited.value ? empty(t('noMatch')) : empty(t('none'), t('noneText')));
      const body = el('tbody', {}), foot = el('div', { class: 'row' });
      const add = (/** @type {any} */ page) => {
        body.append(...page.items.map((/** @type {any} */ p) => el('tr', {}, el('th', { scope: 'row', class: 'number' }, number(p.entryNo)), el('td', {}, p.maskedName || el('span', { class: 'quiet' }, t('destroyed'))), el('td', {}, p.maskedPhone), el('td', {}, name(p.channel)), el('td', {}, p.visited ? '✓' : ''), el('td', {}, when(p.enteredAt)))));
        show(foot, page.nextCursor && button(t('more'), async () => add(await get(path(page.nextCursor))), { class: 'plain' }));
      };
      add(first);
      show(list, el('div', { class: 'card scroll', tabindex: '0', role: 'region', 'aria-label': t('title') }, el('table', {}, el('thead', {}, el('tr', {}, [t('no'), t('name'), t('phone'), t('channel'), t('visited'), t('at')].map((h) => el('th', { scope: 'col' }, h)))), body)), foot);
    } catch (error) {
      show(list, failed(error, load));
    }
  };
  show(main, el('h2', {}, `${event.title} – ${t('title')}`), el('p', {}, el('a', { href: `#event/${id}` }, `← ${t('back')}`)), el('p', { class: 'quiet' }, t('masked')), el('div', { class: 'row filters' }, channel, visited), list);
  await load();
}
