// The shop and its owner.
import { edit, get, keep, post } from '../api.js';
import { button, confirmed, el, field, forgetTyped, form, select, show, toast } from '../ui.js';
import { language, words } from '../words.js';

const t = words({
  title: ['내 매장', 'My shop'], name: ['매장 이름', 'Name'], industry: ['업종', 'Industry'], region: ['지역', 'Region'], address: ['주소', 'Address'], save: ['저장', 'Save'], saved: ['저장했습니다', 'Saved'],
  VERIFIED: ['사업자 확인 완료', 'Business verified'], PENDING: ['사업자 확인 중', 'Being verified'], REJECTED: ['사업자 확인 실패', 'Verification failed'], owner: ['사장님', 'Owner'], email: ['이메일', 'E-mail'], phone: ['휴대전화번호', 'Mobile phone'], business: ['사업자등록번호', 'Business number'],
  everywhere: ['모든 기기에서 로그아웃', 'Sign out everywhere'], sure: ['다른 휴대폰과 컴퓨터에서도 로그아웃됩니다.', 'Other phones and computers are signed out too.'],
});

/** @param {import('../console.js').Page} page */
export default async function shop({ main, go }) {
  const [me, { items: shops }, { items: industries }] = await Promise.all([get('/api/users/me'), get('/api/stores'), get('/api/industries')]);
  show(main, el('h2', {}, t('title')), shops.map((/** @type {any} */ s) => card(s, industries)),
    el('section', { class: 'card' }, el('h3', {}, t('owner')), el('dl', {}, [[t('email'), me.email], [t('phone'), me.phone], [t('business'), me.businessNumber]].map(([label, value]) => [el('dt', {}, label), el('dd', {}, value)])),
      button(t('everywhere'), async () => {
        if (!await confirmed(t('everywhere'), t('sure'))) return;
        await post('/api/users/logout?everywhere=true');
        forgetTyped();
        keep(null);
        go('#login');
      }, { class: 'plain' })));
}

/** @param {any} s @param {any[]} industries */
function card(s, industries) {
  let { version } = s;
  const chosen = select({}, industries.map((i) => [i.code, language === 'ko' ? i.nameKo : i.nameEn]));
  chosen.value = s.industry;
  return el('section', { class: 'card' }, el('h3', {}, s.name, ' ', el('span', { class: `badge ${s.verification}` }, t(s.verification)), s.verificationMode === 'SANDBOX' && el('span', { class: 'badge sandbox' }, 'SANDBOX')),
    form([field('name', t('name'), { value: s.name }), field('industry', t('industry'), {}, chosen), field('region', t('region'), { value: s.region }), field('address', t('address'), { value: s.address ?? '', required: false })], t('save'), async (v) => {
      ({ version } = await edit('PATCH', `/api/stores/${s.id}`, { ...v, address: v.address || null }, version));
      toast(t('saved'));
    }));
}
