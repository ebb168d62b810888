// The shop and its owner.
import { edit, get, keep, post } from '../api.js';
import { button, confirmed, el, field, forgetTyped, form, select, show, toast } from '../ui.js';
import { language } from '../words.js';
import { t } from '../words/shop.js';

/** @param {import('../console.js').Page} page */
export default async function shop({ main, go }) {
  const [me, { items: shops }, { items: industries }] = await Promise.all([
    get('/api/users/me'),
    get('/api/stores'),
    get('/api/industries'),
  ]);
  show(
    main,
    el('h2', {}, t('title')),
    shops.map((/** @type {any} */ s) => card(s, industries)),
    el(
      'section',
      { class: 'card' },
      el('h3', {}, t('owner')),
      el(
        'dl',
        {},
        [
          [t('email'), me.email],
          [t('phone'), me.phone],
          [t('business'), me.businessNumber],
        ].map(([label, value]) => [el('dt', {}, label), el('dd', {}, value)]),
      ),
      button(
        t('everywhere'),
        async () => {
          if (!(await confirmed(t('everywhere'), t('sure')))) return;
          await post('/api/users/logout?everywhere=true');
          forgetTyped();
          keep(null);
          go('#login');
        },
        { class: 'plain' },
      ),
    ),
  );
}

/** @param {any} s @param {any[]} industries */
function card(s, industries) {
  let { version } = s;
  const chosen = select(
    {},
    industries.map((i) => [i.code, language === 'ko' ? i.nameKo : i.nameEn]),
  );
  chosen.value = s.industry;
  return el(
    'section',
    { class: 'card' },
    el(
      'h3',
      {},
      s.name,
      ' ',
      el('span', { class: `badge ${s.verification}` }, t(s.verification)),
      s.verificationMode === 'SANDBOX' && el('span', { class: 'badge sandbox' }, 'SANDBOX'),
    ),
    form(
      [
        field('name', t('name'), { value: s.name }),
        field('industry', t('industry'), {}, chosen),
        field('region', t('region'), { value: s.region }),
        field('address', t('address'), { value: s.address ?? '', required: false }),
      ],
      t('save'),
      async (v) => {
        ({ version } = await edit('PATCH', `/api/stores/${s.id}`, { ...v, address: v.address || null }, version));
        toast(t('saved'));
      },
    ),
  );
}
