// The merchant console: sign up, make an event in five steps, watch it live, draw.
import { el, show, number, won, when, randomHex } from './ui.js';
import { Live } from './live.js';

const main = document.getElementById('main');
const bar = document.getElementById('bar');
let session = JSON.parse(localStorage.getItem('madang') || 'null');
let live = null;
let leave = [];

const CHANNELS = { WOORI_TV: '우리동네TV', RINGO_BIZ: '링고비즈', GENIE_TV: '지니TV', INSTAGRAM: '인스타그램', NAVER: '네이버', KAKAO: '카카오', QR: 'QR 코드', DIRECT: '링크' };
const OBJECTIVES = { NEW_CUSTOMERS: '신규 고객 유치', REVISIT: '재방문 유도', SALES: '매출 증대', AWARENESS: '인지도 향상' };
const STATUS = { draft: '작성중', planned: '작성중', ready: '작성중', scheduled: '예정', live: '진행중', paused: '잠시 멈춤', closed: '종료', drawn: '추첨 완료', settled: '정산 완료', cancelled: '취소됨', purged: '파기됨' };
const PUBLISHED = { queued: '대기', publishing: '게시 중', retrying: '다시 시도', 'awaiting-review': '심사 중', published: '게시됨', assisted: '직접 게시', skipped: '건너뜀', unknown: '확인 필요', failed: '실패', recalled: '내림' };

class ApiError extends Error {
  constructor(problem) {
    super(problem.errors?.map((e) => `${e.field}: ${e.detail}`).join('\n') || problem.detail || '연결하지 못했습니다.');
    this.problem = problem;
  }
}

function keep(tokens) {
  session = tokens && { access: tokens.accessToken, refresh: tokens.refreshToken };
  if (session) localStorage.setItem('madang', JSON.stringify(session));
  else localStorage.removeItem('madang');
}

async function api(method, path, body, again = true) {
  const headers = { 'content-type': 'application/json' };
  if (session) headers.authorization = `Bearer ${session.access}`;
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 401 && session && again) {
    const renewed = await fetch('/api/users/token/refresh', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ refreshToken: session.refresh }) });
    if (renewed.ok) {
      keep(await renewed.json());
      return api(method, path, body, false);
    }
    keep(null);
    location.hash = '#login';
  }
  const text = await response.text();
  const value = text ? JSON.parse(text) : null;
  if (!response.ok) throw new ApiError(value ?? {});
  return value;
}

const get = (path) => api('GET', path);
const post = (path, body = {}) => api('POST', path, body);
const put = (path, body) => api('PUT', path, body);

function connect() {
  live ??= new Live(async () => (await post('/api/realtime/tickets')).ticket, (state) => {
    document.title = state === 'open' ? '마당' : '마당 (다시 연결하는 중)';
  });
  return live;
}

/** Runs an action behind a button: disabled meanwhile, its error shown beside it. */
function button(label, action, attributes = {}) {
  const error = el('p', { class: 'bad', role: 'alert' });
  const node = el('button', {
    type: 'button', ...attributes,
    onclick: async () => {
      node.disabled = true;
      error.textContent = '';
      try {
        await action();
      } catch (e) {
        error.textContent = e.message;
      } finally {
        node.disabled = false;
      }
    },
  }, label);
  return [node, error];
}

function field(name, label, attributes = {}) {
  return [el('label', { for: name }, label), el('input', { id: name, name, required: true, ...attributes })];
}

const values = (form) => Object.fromEntries(new FormData(form));

// --- signup and login --------------------------------------------------------------------------------------------

function login() {
  const form = el('form', { class: 'card', onsubmit: (e) => e.preventDefault() },
    el('h2', {}, '로그인'), field('email', '이메일', { type: 'email', autocomplete: 'username' }),
    field('password', '비밀번호', { type: 'password', autocomplete: 'current-password' }),
    el('div', { class: 'row' }, button('로그인', async () => {
      keep(await post('/api/users/login', values(form)));
      location.hash = '#';
    }), el('a', { href: '#signup' }, '처음이신가요? 가입하기')));
  show(main, form);
}

async function signup() {
  const { items } = await get('/api/industries');
  const form = el('form', { class: 'card', onsubmit: (e) => e.preventDefault() },
    el('h2', {}, '가입하기'),
    field('email', '이메일', { type: 'email', autocomplete: 'username' }),
    field('password', '비밀번호 (8자 이상)', { type: 'password', autocomplete: 'new-password' }),
    field('name', '대표자 이름', { autocomplete: 'name' }), field('phone', '휴대전화번호', { type: 'tel', placeholder: '010-1234-5678' }),
    field('businessNumber', '사업자등록번호', { inputmode: 'numeric', placeholder: '123-45-67890' }), field('openedOn', '개업일', { type: 'date' }),
    field('storeName', '매장 이름'), el('label', { for: 'industry' }, '업종'),
    el('select', { id: 'industry', name: 'industry' }, items.map((i) => el('option', { value: i.code }, i.nameKo))),
    field('region', '지역 (시도와 시군구)', { placeholder: '서울 마포구' }),
    el('div', { class: 'row' }, button('가입하기', async () => {
      const v = values(form);
      keep(await post('/api/users/signup', {
        email: v.email, password: v.password, name: v.name, phone: v.phone, businessNumber: v.businessNumber, openedOn: v.openedOn,
        store: { name: v.storeName, industry: v.industry, region: v.region },
      }));
      location.hash = '#';
    })));
  show(main, form);
}

// --- list --------------------------------------------------------------------------------------------------------

async function list() {
  const { items } = await get('/api/events?limit=50');
  const start = el('div', { class: 'card' }, el('h2', {}, '새 이벤트: 무엇을 위해 하나요?'),
    el('div', { class: 'row' }, Object.entries(OBJECTIVES).map(([code, label]) => button(label, async () => {
      const event = await post('/api/events', { objective: code });
      location.hash = `#event/${event.id}`;
    }))));
  const rows = items.map((e) => el('a', { class: 'card', href: `#event/${e.id}`, style: false },
    el('div', { class: 'card' }, el('strong', {}, e.title ?? '(초안)'), ' ', el('span', { class: 'badge' }, STATUS[e.status]),
      el('div', { class: 'quiet' }, `${OBJECTIVES[e.objective]} · ${when(e.createdAt)}`))));
  show(main, start, el('h2', {}, '내 이벤트'), rows.length ? rows : el('p', { class: 'quiet' }, '아직 이벤트가 없습니다. 위에서 하나 만들어 보세요.'));
}

// --- making ------------------------------------------------------------------------------------------------------

/** Follows a job to its end, showing what is ready. */
function follow(jobId, place, onReady) {
  const meter = el('progress', { max: 100, value: 0 });
  show(place, el('p', {}, '만들고 있습니다…'), meter);
  return new Promise((resolve, reject) => {
    const stop = connect().subscribe(`job:${jobId}`, { onSnapshot: ended, onUpdate: ({ kind, data }) => {
      meter.value = data.progress ?? meter.value;
      if (kind === 'job.ended') ended(data);
      else if (kind.endsWith('.ready')) onReady?.(data);
    } });
    function ended(job) {
      if (!['succeeded', 'failed', 'dead', 'cancelled'].includes(job.status)) return;
      stop();
      job.status === 'succeeded' ? resolve(job) : reject(new Error(job.error?.messageKo ?? '작업이 실패했습니다.'));
    }
  });
}

async function making(event) {
  const place = el('div', {});
  const again = () => open(event.id);
  const head = el('div', { class: 'card' }, el('strong', {}, event.title ?? '(초안)'), el('div', { class: 'quiet' }, OBJECTIVES[event.objective]));
  show(main, head, place);
  if (event.status === 'draft') return options(event, place, again);
  if (!event.content) return pictures(event, place, again);
  if (!event.channels.length) return channels(event, place, again);
  const preflight = await get(`/api/events/${event.id}/preflight`);
  show(place, el('div', { class: 'card' }, el('h2', {}, '승인하고 게시하기'),
    el('p', {}, `${when(event.startsAt)} ~ ${when(event.endsAt)}`), el('ul', {}, event.prizes.map((p) => el('li', {}, `${p.name} ${p.quantity}명`))),
    el('ul', {}, preflight.channels.map((c) => el('li', {}, CHANNELS[c.channel], ' ', mode(c.mode), c.missing.map((m) => el('div', { class: 'quiet' }, m.messageKo))))),
    el('div', { class: 'row' }, button('승인하고 게시하기', async () => {
      if (confirm('승인하면 채널에 게시가 시작되고 되돌릴 수 없습니다. 진행할까요?')) {
        await post(`/api/events/${event.id}/approve`);
        again();
      }
    }), button('채널 다시 고르기', () => channels(event, place, again), { class: 'plain' }))));
}

const mode = (m) => el('span', { class: m === 'SANDBOX' ? 'badge sandbox' : 'badge' }, m === 'SANDBOX' ? 'SANDBOX 모의' : m);

async function options(event, place, again) {
  let result = await post('/api/ai/recommendations', { eventId: event.id });
  let note = null;
  if (result.jobId) {
    const job = await follow(result.jobId, place);
    result = job.result;
    note = job.fallback && el('p', { class: 'bad' }, `AI가 응답하지 않아 대신 준비한 제안입니다 (${job.fallback.reason}, ${when(job.fallback.asOf)}).`);
  }
  const tier = { LOW: '저비용', MEDIUM: '중비용', HIGH: '고비용' };
  show(place, el('h2', {}, '제안 세 가지'), note, result.options.map((o) => el('div', { class: 'card' },
    el('span', { class: 'badge' }, tier[o.tier]), el('h2', {}, o.title), el('p', {}, o.summary), el('p', { class: 'quiet' }, o.mechanics),
    el('p', {}, `예상 참여 ${number(o.expected.participants.low)}~${number(o.expected.participants.high)}명 · 비용 ${won(o.expected.costWon)} · ROI ${o.expected.roiPercent.low}~${o.expected.roiPercent.high}%`),
    el('div', { class: 'row' }, button('이 제안 고르기', async () => {
      await put(`/api/events/${event.id}/plan`, { optionId: o.id, visitBonus: { weight: 3 } });
      again();
    })))));
}

async function pictures(event, place, again) {
  const grid = el('div', { class: 'pictures' });
  const meter = el('div', {});
  const chosen = new Set();
  const add = (image) => grid.append(el('label', {},
    el('img', { src: image.url, alt: image.altText, width: String(image.width), height: String(image.height), loading: 'lazy' }),
    el('input', { type: 'checkbox', onchange: (e) => (e.target.checked ? chosen.add(image.id) : chosen.delete(image.id)) }), `${image.style} · ${image.platform}`));
  show(place, el('div', { class: 'card' }, el('h2', {}, '이미지 고르기'), meter, grid, el('div', { class: 'row' }, button('고른 이미지 쓰기', async () => {
    if (!chosen.size) throw new Error('이미지를 하나 이상 골라 주세요.');
    await put(`/api/events/${event.id}/content`, { imageIds: [...chosen] });
    again();
  }))));
  const started = await post('/api/content/images', { eventId: event.id });
  if (started.jobId) {
    const job = await follow(started.jobId, meter, (data) => data.image && add(data.image));
    show(meter);
    show(grid);
    job.result.images.forEach(add);
  } else started.images.forEach(add);
}

async function channels(event, place, again) {
  const names = Object.keys(CHANNELS).slice(0, 6);
  const wanted = new Set(event.channels.length ? event.channels : names);
  show(place, el('div', { class: 'card' }, el('h2', {}, '채널 고르기'), names.map((code) => el('label', { class: 'check' },
    el('input', { type: 'checkbox', checked: wanted.has(code), onchange: (e) => (e.target.checked ? wanted.add(code) : wanted.delete(code)) }), CHANNELS[code])),
    el('div', { class: 'row' }, button('다음', async () => {
      await put(`/api/events/${event.id}/channels`, { channels: [...wanted] });
      again();
    }))));
}

// --- running -----------------------------------------------------------------------------------------------------

async function running(event) {
  const figures = el('div', { class: 'cards' });
  const table = el('div', { class: 'card' });
  const spread = el('div', { class: 'card' });
  const status = el('span', { class: 'badge' }, STATUS[event.status]);
  const link = `${location.origin}/e/${event.slug}`;
  const command = (label, name, ask, attributes) => button(label, async () => {
    if (!ask || confirm(ask)) {
      await post(`/api/events/${event.id}/${name}`);
      open(event.id);
    }
  }, attributes);
  const actions = {
    scheduled: [command('취소하기', 'cancel', '이벤트를 취소하고 게시물을 내릴까요?', { class: 'plain' })],
    live: [command('잠시 멈추기', 'pause', null, { class: 'plain' }), command('마감하기', 'close', '마감하면 다시 열 수 없습니다. 마감할까요?')],
    paused: [command('다시 시작', 'resume'), command('마감하기', 'close', '마감하면 다시 열 수 없습니다. 마감할까요?', { class: 'plain' })],
    closed: [button('추첨하기', async () => {
      if (confirm('추첨은 한 번만 할 수 있습니다. 진행할까요?')) {
        await post(`/api/events/${event.id}/draws`, { alternates: 5, external: randomHex(32) });
        open(event.id);
      }
    })],
  }[event.status] ?? [];
  show(main, el('div', { class: 'card' }, el('h2', {}, event.title ?? '(초안)'), status, el('p', {}, `${when(event.startsAt)} ~ ${when(event.endsAt)}`),
    el('p', {}, '참여 링크: ', el('a', { href: link }, link)), el('div', { class: 'row' }, actions)), figures, table, spread);
  const paint = (data) => {
    const c = data.cards;
    if (data.status && data.status !== event.status) return open(event.id);
    show(figures, [['참여', number(c.participants)], ['노출', number(c.impressions)], ['전환율', c.conversionRate == null ? '–' : `${(c.conversionRate * 100).toFixed(2)}%`], ['ROI (추정)', c.roiPercent == null ? '–' : `${c.roiPercent}%`]]
      .map(([label, value]) => el('div', { class: 'card' }, el('div', { class: 'quiet' }, label), el('div', { class: 'figure' }, value))));
    show(table, el('table', {}, el('thead', {}, el('tr', {}, el('th', {}, '채널'), ...['참여', '노출', '클릭'].map((h) => el('th', { class: 'number' }, h)))),
      el('tbody', {}, data.channels.map((r) => el('tr', {}, el('td', {}, CHANNELS[r.channel], r.stale && el('span', { class: 'badge' }, '오래된 값')),
        ...[r.entries, r.impressions, r.clicks].map((n) => el('td', { class: 'number' }, number(n))))))));
  };
  leave.push(connect().subscribe(`event:${event.id}`, { onSnapshot: paint, onUpdate: ({ data }) => paint(data) }));
  if (event.distributionId) leave.push(connect().subscribe(`distribution:${event.distributionId}`, { onSnapshot: distribution, onUpdate: async () => distribution(await get(`/api/distribution/${event.distributionId}`)) }));
  function distribution(d) {
    const failed = d.channels.filter((c) => ['failed', 'skipped'].includes(c.status) && c.mode !== 'OFF').map((c) => c.channel);
    show(spread, el('h2', {}, '게시 상태'), el('ul', {}, d.channels.map((c) => el('li', {}, CHANNELS[c.channel], ' ', el('strong', {}, PUBLISHED[c.status]), ' ', mode(c.mode),
      c.error && el('div', { class: 'bad' }, c.error.messageKo), c.text && el('div', { class: 'quiet' }, c.text),
      c.status === 'unknown' && el('div', { class: 'row' }, ...[[true, '게시되어 있어요'], [false, '없어요']].map(([posted, label]) => button(label, () => post(`/api/distribution/${d.id}/confirm`, { channel: c.channel, posted }))).flat())))),
      failed.length ? el('div', { class: 'row' }, button('실패한 채널만 다시 시도', () => post(`/api/distribution/${d.id}/retry`, { channels: failed }))) : null);
  }
  if (event.status === 'drawn') {
    const { items } = await get(`/api/events/${event.id}/draws`);
    main.append(el('div', { class: 'card' }, el('h2', {}, '당첨자'), el('ol', {}, items[0].winners.map((w) => el('li', {}, `${w.prize} – ${w.entryNo}번 ${w.maskedPhone ?? ''}`))),
      el('p', { class: 'quiet' }, '승인할 때 난수의 해시를, 마감할 때 응모 목록의 해시를 공개했습니다. 누구나 다시 계산해 볼 수 있습니다.'),
      el('p', { class: 'mono' }, `root ${items[0].proof.root}`), el('a', { href: `/api/participation/events/${event.slug}/draw` }, '증명 파일')));
  }
}

async function open(id) {
  leave.splice(0).forEach((f) => f());
  const event = await get(`/api/events/${id}`);
  return ['draft', 'planned', 'ready'].includes(event.status) ? making(event) : running(event);
}

// --- routes ------------------------------------------------------------------------------------------------------

async function route() {
  leave.splice(0).forEach((f) => f());
  const [page, id] = location.hash.slice(1).split('/');
  show(bar, session && [el('a', { href: '#' }, '내 이벤트'), button('로그아웃', async () => {
    await post('/api/users/logout');
    live?.close();
    live = null;
    keep(null);
    location.hash = '#login';
  }, { class: 'plain' })]);
  try {
    if (page === 'signup') await signup();
    else if (!session) login();
    else if (page === 'event') await open(id);
    else await list();
  } catch (e) {
    show(main, el('div', { class: 'card' }, el('p', { class: 'bad', role: 'alert' }, e.message), button('다시 시도', route)));
  }
}

addEventListener('hashchange', route);
route();
