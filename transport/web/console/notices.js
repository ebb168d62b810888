// What the owner should know, until it is read.
import { countUnread } from '../console.js';
import { get, post } from '../api.js';
import { button, el, empty, failed, loading, show } from '../ui.js';
import { said, when } from '../words.js';
import { t } from '../words/notices.js';

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
  const more =
    nextCursor &&
    el(
      'div',
      { class: 'row' },
      button(
        t('more'),
        async () => more.replaceWith(...rows(await get(`/api/notices?all=true&limit=30&cursor=${nextCursor}`))),
        { class: 'plain' },
      ),
    );
  return [
    ...items.map((/** @type {any} */ n) => {
      const node = el(
        'article',
        { class: `card notice ${n.level}${n.readAt ? ' read' : ''}` },
        el('p', {}, said(n)),
        el('p', { class: 'quiet' }, when(n.createdAt)),
        !n.readAt &&
          button(
            t('read'),
            async () => {
              await post(`/api/notices/${n.id}/read`);
              node.classList.add('read');
              node.querySelector('button').parentElement.remove();
              const { items: all } = await get('/api/notices?all=true&limit=30');
              countUnread(unreadOf(all));
            },
            { class: 'link' },
          ),
      );
      return node;
    }),
    more,
  ].filter(Boolean);
}
