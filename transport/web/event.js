// The customer page: one screen, one form, a receipt and number, the live count, honest odds, later the draw and its proof.
import { Live } from './live.js';
import { button, confirmed, copy, el, failed, field, form, loading, randomHex, reach, show, socketUrl } from './ui.js';
import { CHANNELS, language, name, number, percent, speak, when, won, words } from './words.js';

const t = words({
  until: ['{t}까지', 'until {t}'], begins: ['{t}에 시작합니다', 'begins {t}'], paused: ['잠시 멈췄습니다. 조금 뒤에 다시 와 주세요.', 'Paused. Please come back a little later.'], closed: ['마감되었습니다. {t}부터 추첨을 기다리고 있습니다.', 'Closed. Waiting for the draw since {t}.'], drawn: ['추첨이 끝났습니다', 'The winners are drawn'], forgone: ['추첨 없이 끝났습니다. 응모하신 분들의 개인정보는 모두 파기되었습니다.', 'It ended without a draw. All personal data of those who entered is destroyed.'], cancelled: ['취소된 이벤트입니다', 'This event was cancelled'], over: ['끝난 이벤트입니다', 'This event is over'],
  prize: ['{n} {q}명', '{n} for {q}'], worth: ['{w} 상당', 'worth {w}'], count: ['지금까지 {n}명 응모', '{n} have entered so far'], odds: ['지금 응모하면 당첨 확률 약 {p}', 'Your odds if you enter now: about {p}'], less: ['응모가 늘면 낮아집니다', 'Lower as more people enter'], spare: ['지금은 응모한 분보다 경품이 많습니다', 'There are more prizes than entries now'],
  name: ['이름', 'Name'], phone: ['휴대전화번호', 'Mobile phone'], code: ['매장에 표시된 6자리 코드 (선택)', 'Six-digit code shown in the shop (optional)'], codeHint: ['입력하면 당첨 확률이 {n}배', 'With it your odds are {n}×'], notice: ['개인정보 수집 안내', 'What we collect, and why'],
  privacy: ['안내를 읽었고 만 14세 이상입니다 (필수)', 'I have read it and am 14 or older (required)'], marketing: ['이 가게의 광고 받기 (선택)', 'Send me advertising of this shop (optional)'], night: ['밤 9시~아침 8시에도 광고 받기 (선택)', 'Also between 9 p.m. and 8 a.m. (optional)'],
  busy: ['응모가 몰리고 있습니다. 자리가 나는 대로 응모됩니다. 이 화면을 닫지 마세요.', 'Many are entering right now. You will be in as soon as there is room: please keep this page open.'],
  enter: ['응모하기', 'Enter'], thanks: ['{n}번으로 응모되었습니다', 'You are in, as number {n}'], receipt: ['응모 확인증', 'Your receipt'], keep: ['당첨 확인과 삭제 요청에 쓰입니다. 이 화면을 저장해 두세요.', 'It shows whether you won, and deletes your entry: keep it.'], copy: ['확인증 복사', 'Copy the receipt'], mine: ['내 응모 확인', 'My entry'], look: ['확인하기', 'Look'],
  won: ['축하합니다! {p}에 당첨되었습니다', 'Congratulations! You won: {p}'], alternate: ['예비 당첨자입니다', 'You are an alternate'], lost: ['아쉽지만 당첨되지 않았습니다', 'Not this time'], wait: ['아직 추첨하지 않았습니다', 'Not drawn yet'], erase: ['내 응모 지우기', 'Delete my entry'], eraseSure: ['이름과 전화번호가 바로 지워지고 응모가 취소됩니다. 되돌릴 수 없습니다.', 'Name and phone are deleted at once and the entry is gone. This cannot be undone.'], another: ['다른 사람 응모하기', 'Enter somebody else'], anotherSure: ['이 확인증은 이 기기에 더 보이지 않습니다. 먼저 복사하거나 적어 두세요.', 'This receipt is no longer shown on this device: copy it or write it down first.'], eraseWon: ['당첨({p})도 사라지고 다음 순번에게 넘어갑니다.', 'The prize ({p}) is lost with it, and goes to the next in line.'], other_event: ['다른 이벤트의 확인증입니다: {e}', 'This receipt belongs to another event: {e}'], mineOdds: ['매장 코드를 쓴 분이 있으면 실제 확률은 달라집니다', 'Codes from the shop change the actual odds'], member: ['당첨자 명단과 같은 목록에 이 응모가 들어 있음이 증명되었습니다.', 'It is proved to be in the list the winners were drawn from.'],
  winners: ['당첨자', 'Winners'], no: ['{n}번', 'No. {n}'], proof: ['증명 파일', 'Proof file'], fair: ['공정한 추첨', 'A fair draw'], fairText: ['추첨에 쓸 난수의 해시를 이벤트 전에 공개했습니다. 추첨 뒤 누구나 결과를 다시 계산할 수 있습니다.', 'The hash of the number that decides the draw was published before it began. Afterwards anybody can recompute the result.'], rooted: ['응모를 마감하며 만든 명단의 지문입니다. 지금 적어 두면, 추첨 뒤에 명단이 바뀌지 않았는지 확인할 수 있습니다.', 'The fingerprint of the list as it was at the close. Note it now, and you can see after the draw that nobody changed the list.'], other: ['English', '한국어'], gone: ['없거나 아직 공개되지 않은 이벤트입니다.', 'There is no such event, or it is not public yet.'],
});

const main = /** @type {HTMLElement} */ (document.getElementById('main'));
const slug = location.pathname.split('/').pop() ?? '';
const named = (new URLSearchParams(location.search).get('c') ?? '').trim().toUpperCase();
/** Where the customer comes from; who follows a link that says something else is as welcome. */
const source = [...CHANNELS, 'QR'].includes(named) ? named : 'DIRECT';
const base = `/api/participation/events/${slug}`;
/** Where this browser keeps the receipt, so that a reload shows it again. */
const KEPT = `madang-receipt-${slug}`;
// The same key for every try of this page: a lost answer is asked for again, not entered twice.
let key = randomHex(16);
/** How often an entry is sent while too many come at once: for half a minute, then the customer decides. */
const TRIES = 12;

/** @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers] @returns {Promise<any>} */
async function call(method, path, body, headers = {}) {
  const response = await reach(path, { method, headers: { 'accept-language': language, ...(body ? { 'content-type': 'application/json' } : {}), ...headers }, body: body && JSON.stringify(body) });
  if (response.status === 204) return null;
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(value.detail || value.title || `HTTP ${response.status}`), { problem: value, status: response.status, seconds: Number(response.headers.get('retry-after')) || 1 });
  return value;
}

const busy = el('p', { class: 'quiet', role: 'status' });
/** Sends an entry; told to come back, it does so when it was told, and a little later by chance. Once it waits, a lost
 * answer is only one more try: the key makes that safe. @param {any} body */
async function enter(body) {
  try {
    for (let tried = 1; ; tried++) {
      const answer = await call('POST', `${base}/entries`, body, { 'idempotency-key': key }).catch((error) => error);
      if (!(answer instanceof Error)) return answer;
      const { status, seconds = 1 } = /** @type {any} */ (answer);
      const passing = status === 503 || (status === undefined && tried > 1);
      if (!passing || tried === TRIES) throw answer;
      show(busy, t('busy'));
      await new Promise((again) => setTimeout(again, 1000 * (Math.min(seconds, 10) + 2 * Math.random())));
    }
  } finally {
    show(busy);
  }
}

const stands = el('span', {});
const count = el('p', { class: 'live-count', role: 'status' }), odds = el('p', {});
/** @param {any} event @param {number} n */
function counted(event, n) {
  show(count, el('strong', {}, t('count', { n: number(n) })));
  // If this customer enters, there is one more.
  const share = Math.min(1, event.odds.prizes / (n + (event.status === 'live' ? 1 : 0) || 1));
  show(odds, share < 1 ? t('odds', { p: percent(share, share < 0.1 ? 2 : 0) }) : t('spare'), ' ', el('span', { class: 'quiet' }, t('less'), event.visitBonus && ` · ${t('mineOdds')}`));
}

/** @param {string} name @param {string} label @param {boolean} [required] */
const check = (name, label, required = false) => el('label', { class: 'check' }, el('input', { type: 'checkbox', name, id: `f-${name.replace('.', '-')}`, required }), label);

/** @param {any} event */
const entry = (event) => el('section', { class: 'card' }, form([
  field('name', t('name'), { autocomplete: 'name', maxlength: 160 }), field('phone', t('phone'), { type: 'tel', autocomplete: 'tel', placeholder: '010-1234-5678' }),
  event.visitBonus && field('visitCode', t('code'), { inputmode: 'numeric', maxlength: 20, required: false, autocomplete: 'off', hint: t('codeHint', { n: event.visitBonus.weight }) }),
  el('details', { open: true }, el('summary', {}, t('notice')), el('p', { class: 'quiet' }, event.notice.text)),
  el('div', { class: 'field' }, check('consents.privacy', t('privacy'), true), el('p', { id: 'f-consents-privacy-e', class: 'bad', hidden: true })), check('marketing', t('marketing')), check('night', t('night')),
], t('enter'), async (v) => {
  const entered = await enter({
    name: v.name, phone: v.phone, channel: source, noticeVersion: event.notice.version,
    consents: { privacy: v['consents.privacy'] === 'on', marketing: v.marketing === 'on', night: v.night === 'on' }, ...(v.visitCode ? { visitCode: v.visitCode } : {}),
  }).catch(async (error) => {
    if (error.problem?.code !== 'notice-changed') throw error;
    // The new notice must be read, and agreed to, before it counts.
    await page();
    /** @type {any} */ (main.querySelector('#f-consents-privacy')).checked = false;
    main.querySelector('form')?.prepend(el('p', { class: 'bad', role: 'alert' }, error.message));
    throw error;
  });
  localStorage.setItem(KEPT, entered.receipt);
  await page();
}), busy);

/** What was typed, kept while the page is made anew. */
function typed() {
  const values = new Map([...main.querySelectorAll('form input')].map((/** @type {any} */ i) => [i.id, i.type === 'checkbox' ? i.checked : i.value]));
  return () => main.querySelectorAll('form input').forEach((/** @type {any} */ i) => {
    if (!values.has(i.id)) return;
    if (i.type === 'checkbox') i.checked = values.get(i.id);
    else i.value = values.get(i.id);
  });
}

/** What a receipt shows. @param {string} receipt */
async function receipt(receipt) {
  const found = await call('GET', `/api/participation/receipts/${encodeURIComponent(receipt)}`);
  if (found.event.slug !== slug) throw new Error(t('other_event', { e: found.event.title }));
  const result = { won: t('won', { p: found.draw?.prize ?? '' }), alternate: t('alternate'), 'not-won': t('lost') }[/** @type {string} */ (found.draw?.result)] ?? t('wait');
  return el('section', { class: 'card receipt' }, el('h2', {}, t('thanks', { n: number(found.entryNo) })), el('p', {}, el('strong', {}, result)), found.draw?.inclusionProof && el('p', { class: 'quiet' }, t('member')),
    el('p', { class: 'quiet' }, t('keep')), el('p', {}, `${t('receipt')}: `, el('code', { class: 'mono' }, receipt)),
    el('div', { class: 'row' }, button(t('copy'), () => copy(receipt), { class: 'plain' }), found.event.status === 'live' && button(t('another'), async () => {
      if (await confirmed(t('another'), t('anotherSure'), t('another'))) await anew();
    }, { class: 'link' }), button(t('erase'), async () => {
      const prize = ['won', 'alternate'].includes(found.draw?.result);
      if (!await confirmed(t('erase'), [t('eraseSure'), prize && el('strong', { class: 'block bad' }, t('eraseWon', { p: found.draw.prize ?? t('alternate') }))], t('erase'))) return;
      await call('DELETE', `/api/participation/receipts/${encodeURIComponent(receipt)}`);
      await anew();
    }, { class: 'link' })));
}

/** This browser has not entered: an empty form, and what it sends is another entry. */
async function anew() {
  localStorage.removeItem(KEPT);
  key = randomHex(16);
  await page();
}

/** For somebody who entered elsewhere. */
const lookUp = () => el('details', { class: 'card' }, el('summary', {}, t('mine')), form([field('receipt', t('receipt'), { autocomplete: 'off' })], t('look'), async (v) => {
  const node = await receipt(v.receipt.trim());
  localStorage.setItem(KEPT, v.receipt.trim());
  main.querySelector('.receipt')?.remove();
  main.querySelector('.event-head')?.after(node);
}));

async function drawn() {
  const proof = await call('GET', `${base}/draw`);
  return el('section', { class: 'card' }, el('h2', {}, t('winners')), el('ol', { class: 'winners' }, proof.holders.map((/** @type {any} */ w) => el('li', {}, el('strong', {}, w.prize), ' ', t('no', { n: number(w.entryNo) }), ' ', el('span', { class: 'quiet' }, w.maskedPhone)))),
    el('p', { class: 'quiet' }, proof.says[language]), el('p', { class: 'mono' }, `root ${proof.root}`), el('a', { href: `${base}/draw`, download: `${slug}-draw.json` }, t('proof')));
}

/** @param {any} event */
const standing = (event) => ({ live: t('until', { t: when(event.endsAt) }), scheduled: t('begins', { t: when(event.startsAt) }), paused: t('paused'), closed: t('closed', { t: when(event.closedAt) }), drawn: t('drawn'), cancelled: t('cancelled'), purged: event.draw.root && !event.draw.drawn && t('forgone') }[/** @type {string} */ (event.status)] || t('over'));

async function page() {
  const event = await call('GET', base);
  document.title = event.title;
  const kept = localStorage.getItem(KEPT);
  const mine = kept && await receipt(kept).catch((error) => {
    // Erased elsewhere. Anything else must not look as if one had not entered.
    if (error.status !== 404) throw error;
    localStorage.removeItem(KEPT);
    return null;
  });
  counted(event, event.count);
  show(stands, standing(event));
  // What is being filled in comes back with the form.
  const again = typed();
  show(main, el('section', { class: 'event-head' }, el('p', { class: 'quiet' }, event.storeName), el('h1', {}, event.title), el('p', {}, el('span', { class: `badge ${event.status}` }, name(event.status)), ' ', stands),
    el('ul', { class: 'plain-list prizes' }, event.prizes.map((/** @type {any} */ p) => el('li', {}, el('strong', {}, t('prize', { n: p.name, q: number(p.quantity) })), p.unitValueWon > 0 && el('span', { class: 'quiet' }, ` ${t('worth', { w: won(p.unitValueWon) })}`)))), count, event.status === 'live' && !mine && odds),
  mine, event.draw.drawn && await drawn(), event.status === 'live' && !mine && entry(event), !mine && lookUp(),
  el('details', { class: 'card' }, el('summary', {}, t('fair')), el('p', {}, t('fairText')), el('p', { class: 'mono' }, event.draw.commitment),
    event.status === 'closed' && event.draw.root && [el('p', {}, t('rooted')), el('p', { class: 'mono' }, event.draw.root)]),
  el('p', { class: 'row end' }, el('button', { type: 'button', class: 'link', lang: language === 'ko' ? 'en' : 'ko', onclick: () => speak(language === 'ko' ? 'en' : 'ko') }, t('other'))));
  again();
  return event;
}

async function start() {
  show(main, loading());
  try {
    let event = await page();
    const live = new Live({ url: socketUrl() });
    const seen = async (/** @type {any} */ data) => {
      counted(event, data.count);
      event.endsAt = data.endsAt ?? event.endsAt;
      show(stands, standing(event));
      // The list's fingerprint comes a moment after the close.
      const rooting = event.status === 'closed' && !event.draw.root;
      if (!rooting && (!data.status || data.status === event.status)) return;
      event.status = data.status;
      await page().then((fresh) => (event = fresh), (error) => show(main, failed(error, start)));
    };
    live.subscribe(`public:${slug}`, { onSnapshot: seen, onUpdate: ({ data }) => seen(data) });
    addEventListener('online', () => live.wake());
    document.addEventListener('visibilitychange', () => document.hidden || live.wake());
  } catch (/** @type {any} */ error) {
    show(main, error.status === 404 ? el('p', { class: 'banner warning' }, t('gone')) : failed(error, start));
  }
}
start();
