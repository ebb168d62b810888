// Signing in, and signing up with the business number.
import { create, get, keep, post } from '../api.js';
import { now } from '../clock.js';
import { el, field, forgetTyped, form, select, show } from '../ui.js';
import { language, words } from '../words.js';

const t = words({
  login: ['로그인', 'Sign in'], signup: ['가입하기', 'Sign up'], new: ['처음이신가요? 가입하기', 'New here? Sign up'], known: ['이미 가입하셨나요? 로그인', 'Signed up already? Sign in'],
  pitch: ['5분이면 동네 이벤트를 만들어 TV 그림, 통화연결음 문구, SNS 글로 한 번에 보낼 수 있어요.', 'Five minutes, and your event goes out at once: a picture for TV, a text for the ring-back tone, posts on SNS.'],
  email: ['이메일', 'E-mail'], password: ['비밀번호', 'Password'], eight: ['8자 이상', 'At least 8 characters'], you: ['대표자', 'You'], name: ['대표자 이름', 'Your name'], phone: ['휴대전화번호', 'Mobile phone'],
  business: ['사업자등록번호', 'Business number'], businessHint: ['국세청에서 바로 확인합니다. 가입에는 몇 초가 걸릴 수 있습니다.', 'Checked with the tax service at once: signing up may take some seconds.'], opened: ['개업일', 'Opened on'],
  shop: ['매장', 'Shop'], shopName: ['매장 이름', 'Name of the shop'], industry: ['업종', 'Industry'], region: ['지역', 'Region'], regionHint: ['시도와 시군구: 서울 마포구', 'Province and district in Korean: 서울 마포구'],
});

/** @param {import('../console.js').Page} page */
export default async function account({ main, rest, go }) {
  show(main, rest[0] === 'signup' ? await signup(go) : login(go));
}

/** @param {(to: string) => void} go */
const login = (go) => el('section', { class: 'card narrow' }, el('h2', {}, t('login')), el('p', { class: 'quiet' }, t('pitch')),
  form([field('email', t('email'), { type: 'email', autocomplete: 'username' }), field('password', t('password'), { type: 'password', autocomplete: 'current-password' })], t('login'), async (values) => {
    keep(await post('/api/users/login', values));
    // Begun, and not needed. What else was typed waits for whoever is back.
    forgetTyped('signup');
    go('#');
  }), el('p', {}, el('a', { href: '#signup' }, t('new'))));

/** @param {(to: string) => void} go */
async function signup(go) {
  const { items } = await get('/api/industries');
  const industries = select({ required: true }, items.map((/** @type {any} */ i) => [i.code, language === 'ko' ? i.nameKo : i.nameEn]));
  return el('section', { class: 'card narrow' }, el('h2', {}, t('signup')), el('p', { class: 'quiet' }, t('pitch')),
    form([
      field('email', t('email'), { type: 'email', autocomplete: 'username' }),
      field('password', t('password'), { type: 'password', autocomplete: 'new-password', hint: t('eight') }),
      el('h3', {}, t('you')),
      field('name', t('name'), { autocomplete: 'name' }),
      field('phone', t('phone'), { type: 'tel', autocomplete: 'tel', placeholder: '010-1234-5678' }),
      field('businessNumber', t('business'), { inputmode: 'numeric', placeholder: '123-45-67890', hint: t('businessHint') }),
      field('openedOn', t('opened'), { type: 'date', max: new Date(now() + 32_400_000).toISOString().slice(0, 10) }),
      el('h3', {}, t('shop')),
      field('store.name', t('shopName'), { autocomplete: 'organization' }),
      field('store.industry', t('industry'), {}, industries),
      field('store.region', t('region'), { placeholder: '서울 마포구', hint: t('regionHint') }),
    ], t('signup'), async (v) => {
      keep(await create('/api/users/signup', {
        email: v.email, password: v.password, name: v.name, phone: v.phone, businessNumber: v.businessNumber, openedOn: v.openedOn,
        store: { name: v['store.name'], industry: v['store.industry'], region: v['store.region'] },
      }));
      go('#');
    }, 'signup'), el('p', {}, el('a', { href: '#login' }, t('known'))));
}
