// The customer page: one screen, one form, a receipt, live count, later the draw.
import { el, show, number, won, when } from './ui.js';
import { Live } from './live.js';

const main = document.getElementById('main');
const slug = location.pathname.split('/').pop();
const source = new URLSearchParams(location.search).get('c') ?? 'DIRECT';
const base = `/api/participation/events/${slug}`;
// The same key for every try of this page: a lost answer is asked for again, not entered twice.
const key = crypto.randomUUID();

async function call(method, path, body, headers = {}) {
  const response = await fetch(path, { method, headers: { 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body) });
  const value = await response.json().catch(() => null);
  if (!response.ok) throw new Error(value?.errors?.[0]?.detail ?? value?.detail ?? '연결하지 못했습니다. 다시 시도해 주세요.');
  return value;
}

const count = el('span', { class: 'figure' }, '–');
const state = el('p', { class: 'quiet' });

function form(event) {
  const error = el('p', { class: 'bad', role: 'alert' });
  const send = el('button', { type: 'submit' }, '응모하기');
  const node = el('form', { class: 'card', onsubmit: async (e) => {
    e.preventDefault();
    send.disabled = true;
    error.textContent = '';
    const v = Object.fromEntries(new FormData(node));
    try {
      const entered = await call('POST', `${base}/entries`, {
        name: v.name, phone: v.phone, channel: source, noticeVersion: event.notice.version,
        consents: { privacy: v.privacy === 'on', marketing: v.marketing === 'on', night: v.night === 'on' },
        ...(v.visitCode ? { visitCode: v.visitCode } : {}),
      }, { 'idempotency-key': key });
      show(node, el('h2', {}, `${number(entered.entryNo)}번으로 응모되었습니다`), el('p', {}, '응모 확인증입니다. 당첨 확인과 삭제 요청에 쓰이니 보관해 주세요.'), el('p', { class: 'mono' }, entered.receipt));
    } catch (problem) {
      error.textContent = problem.message;
      send.disabled = false;
    }
  } },
    el('label', { for: 'name' }, '이름'), el('input', { id: 'name', name: 'name', required: true, autocomplete: 'name', maxlength: '40' }),
    el('label', { for: 'phone' }, '휴대전화번호'), el('input', { id: 'phone', name: 'phone', type: 'tel', required: true, autocomplete: 'tel', placeholder: '010-1234-5678' }),
    event.visitBonus && [el('label', { for: 'visitCode' }, `매장에 표시된 6자리 코드 (있으면 당첨 확률 ${event.visitBonus.weight}배)`), el('input', { id: 'visitCode', name: 'visitCode', inputmode: 'numeric', maxlength: '6', autocomplete: 'off' })],
    el('p', { class: 'quiet' }, event.notice.text),
    el('label', { class: 'check' }, el('input', { type: 'checkbox', name: 'privacy', required: true }), '안내를 읽었고 만 14세 이상입니다 (필수)'),
    el('label', { class: 'check' }, el('input', { type: 'checkbox', name: 'marketing' }), '광고 수신에 동의합니다 (선택)'),
    el('label', { class: 'check' }, el('input', { type: 'checkbox', name: 'night' }), '밤 9시 이후 광고 수신에 동의합니다 (선택)'),
    error, send);
  return node;
}

async function draw() {
  const proof = await call('GET', `${base}/draw`);
  return el('div', { class: 'card' }, el('h2', {}, '당첨자'), el('ol', {}, proof.holders.map((w) => el('li', {}, `${w.prize} – ${number(w.entryNo)}번 ${w.maskedPhone ?? ''}`))),
    el('p', { class: 'quiet' }, proof.says.ko), el('p', { class: 'mono' }, `root ${proof.root}`), el('a', { href: `${base}/draw` }, '증명 파일 내려받기'));
}

async function page() {
  const event = await call('GET', base);
  document.title = `${event.title} – 응모`;
  const open = event.status === 'live';
  const words = { scheduled: `${when(event.startsAt)}에 시작합니다.`, paused: '잠시 멈췄습니다.', closed: `마감되었습니다. ${when(event.closedAt)}부터 추첨을 기다리고 있습니다.`, cancelled: '취소된 이벤트입니다.' };
  state.textContent = words[event.status] ?? `${when(event.endsAt)}까지`;
  count.textContent = number(event.count);
  show(main, el('h1', {}, event.title), el('p', {}, event.storeName), state,
    el('div', { class: 'card' }, el('ul', {}, event.prizes.map((p) => el('li', {}, `${p.name} ${number(p.quantity)}명 (${won(p.unitValueWon)} 상당)`))),
      el('p', {}, '지금까지 ', count, '명 응모'), el('p', { class: 'quiet' }, `지금 당첨 확률은 약 ${(event.odds.perEntry * 100).toFixed(1)}%이며 응모가 늘면 낮아집니다.`)),
    open && form(event), event.draw.drawn && (await draw()), el('p', { class: 'quiet mono' }, `추첨 약속 ${event.draw.commitment}`));
  return event;
}

try {
  const event = await page();
  new Live(async () => null).subscribe(`public:${slug}`, {
    onSnapshot: (s) => (count.textContent = number(s.count)),
    onUpdate: ({ data }) => {
      count.textContent = number(data.count);
      if (data.status && data.status !== event.status) {
        event.status = data.status;
        page();
      }
    },
  });
} catch (e) {
  show(main, el('div', { class: 'card' }, el('p', { class: 'bad', role: 'alert' }, e.message)));
}
