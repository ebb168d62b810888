// Signing in, and signing up with the business number.
import { create, get, keep, post } from '../api.js';
import { now } from '../clock.js';
import { el, field, forgetTyped, form, select, show } from '../ui.js';
import { language } from '../words.js';
import { t } from '../words/account.js';

/** @param {import('../console.js').Page} page */
export default async function account({ main, rest, go }) {
  show(main, rest[0] === 'signup' ? await signup(go) : login(go));
}

/** @param {(to: string) => void} go */
const login = (go) =>
  el(
    'section',
    { class: 'card narrow' },
    el('h2', {}, t('login')),
    el('p', { class: 'quiet' }, t('pitch')),
    form(
      [
        field('email', t('email'), { type: 'email', autocomplete: 'username' }),
        field('password', t('password'), { type: 'password', autocomplete: 'current-password' }),
      ],
      t('login'),
      async (values) => {
        keep(await post('/api/users/login', values));
        // Forgets a begun signup. Other forms stay for the owner.
        forgetTyped('signup');
        go('#');
      },
    ),
    el('p', {}, el('a', { href: '#signup' }, t('new'))),
  );

/** @param {(to: string) => void} go */
async function signup(go) {
  const { items } = await get('/api/industries');
  const industries = select(
    { required: true },
    items.map((/** @type {any} */ i) => [i.code, language === 'ko' ? i.nameKo : i.nameEn]),
  );
  return el(
    'section',
    { class: 'card narrow' },
    el('h2', {}, t('signup')),
    el('p', { class: 'quiet' }, t('pitch')),
    form(
      [
        field('email', t('email'), { type: 'email', autocomplete: 'username' }),
        field('password', t('password'), { type: 'password', autocomplete: 'new-password', hint: t('eight') }),
        el('h3', {}, t('you')),
        field('name', t('name'), { autocomplete: 'name' }),
        field('phone', t('phone'), { type: 'tel', autocomplete: 'tel', placeholder: '010-1234-5678' }),
        field('businessNumber', t('business'), {
          inputmode: 'numeric',
          placeholder: '123-45-67890',
          hint: t('businessHint'),
        }),
        field('openedOn', t('opened'), { type: 'date', max: new Date(now() + 32_400_000).toISOString().slice(0, 10) }),
        el('h3', {}, t('shop')),
        field('store.name', t('shopName'), { autocomplete: 'organization' }),
        field('store.industry', t('industry'), {}, industries),
        field('store.region', t('region'), { placeholder: '서울 마포구', hint: t('regionHint') }),
      ],
      t('signup'),
      async (v) => {
        keep(
          await create('/api/users/signup', {
            email: v.email,
            password: v.password,
            name: v.name,
            phone: v.phone,
            businessNumber: v.businessNumber,
            openedOn: v.openedOn,
            store: { name: v['store.name'], industry: v['store.industry'], region: v['store.region'] },
          }),
        );
        go('#');
      },
      'signup',
    ),
    el('p', {}, el('a', { href: '#login' }, t('known'))),
  );
}
