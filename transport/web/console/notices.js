// What the owner should know, until it is read.
import { countUnread } from '../console.js';
import { get, post } from '../api.js';
import { button, el, empty, failed, loading, show } from '../ui.js';
import { said, when, words } from '../words.js';

const t = words({ title: ['알림', 'Notices'], none: ['알림이 없습니다.', 'No notices.'], noneText: ['채널에 문제가 생기거나 복구되면 여기에 알려 드립니다.', 'When a channel fails or is back, you read it here.'], read: ['읽음', 'Read'], more: ['더 보기', 'More'] });

/** @param {import('../console.js').Page} page */
export default async function notices({ main }) {
  const list = el('div', {});
  show(main, el('h2', {}, t('title')), list);
  const load = async () => {
    show(list, loading());
    try {
      const first = await get('/api/notices?all=true&limit=30');
      show(list, first.items.length ? rows(first) : empty(t('none'), t('noneText')));
      countUnread(unreadOf(first.items));
    } catch (error) {
      show(list, failed(error, load));
    }
  };
  const fresh = () => (list.isConnected ? load() : removeEventListener('notice', fresh));
  addEventListener('notice', fresh);
  await load();
}

/** @param {any[]} items */
const unreadOf = (items) => items.filter((n) => !n.readAt).map((n) => n.id);

/** @param {any} page @returns {any[]} */
function rows({ items, nextCursor }) {
  const more = nextCursor && el('div', { class: 'row' }, button(t('more'), async () => more.replaceWith(...rows(await get(`/api/notices?all=true&limit=30&cursor=${nextCursor}`))), { class: 'plain' }));
  return [...items.map((/** @type {any} */ n) => {
    const node = el('article', { class: `card notice ${n.level}${n.readAt ? ' read' : ''}` }, el('p', {}, said(n)), el('p', { class: 'quiet' }, when(n.createdAt)),
      !n.readAt && button(t('read'), async () => {
        await post(`/api/notices/${n.id}/read`);
        node.classList.add('read');
        node.querySelector('button').parentElement.remove();
        const { items: all } = await get('/api/notices?all=true&limit=30');
        countUnread(unreadOf(all));
      }, { class: 'link' }));
    return node;
  }), more].filter(Boolean);
}
