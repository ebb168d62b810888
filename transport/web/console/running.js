// An event that was approved: live figures, channels, link and code, and what can be done with it.
import { api, connection, create, edit, get, picture } from '../api.js';
import { columns, lines } from '../chart.js';
import { button, confirmed, copy, el, failed, field, fillIn, form, show } from '../ui.js';
import { fromField, hour, name, number, percent, toField, when, won, words } from '../words.js';
import { publishing } from './publishing.js';
import visiting from './visiting.js';

const t = words({
  participants: ['참여', 'Entries'], impressions: ['노출', 'Impressions'], conversion: ['전환율', 'Conversion'], roi: ['ROI', 'ROI'], estimated: ['추정', 'estimated'], measured: ['실측', 'measured'], notMeasured: ['아직 집계되지 않음', 'not measured yet'],
  impressionsNote: ['TV·네이버·인스타그램에서 본 횟수', 'views on TV, Naver, Instagram'], conversionNote: ['노출 대비 참여', 'entries per impression'], asOf: ['{t} 기준', 'as of {t}'], stale: ['오래된 값', 'old value'],
  hourly: ['시간대별 참여', 'Entries per hour'], hour: ['시각', 'Hour'], oclock: ['{h}시', '{h}:00'], channels: ['채널별 참여', 'Entries per channel'], channel: ['채널', 'Channel'], profile: ['처음 온 손님과 다시 온 손님', 'New and returning customers'], kind: ['구분', 'Kind'], new: ['처음', 'New'], returning: ['다시', 'Returning'], clicks: ['클릭', 'Clicks'],
  figures: ['채널별 수치', 'Figures per channel'], how: ['ROI는 이렇게 계산합니다', 'How the ROI is computed'], prizeCost: ['경품비', 'Prizes'], platformCost: ['채널 비용', 'Channels'], sales: ['매출 증가(추정)', 'More sales (estimated)'], newCustomers: ['신규 고객', 'New customers'], ltv: ['신규 고객의 가치(추정)', 'Their value (estimated)'], roiNote: ['업종 평균으로 추정한 값입니다. 실제 매출은 아직 연결되지 않았습니다.', 'Estimated from averages of the industry: real sales are not connected.'],
  period: ['{a} – {b}', '{a} – {b}'], link: ['응모 링크', 'Entry link'], copy: ['복사', 'Copy'], none: ['아직 응모가 없습니다. 링크와 QR 코드를 알려 주세요.', 'No entries yet: share the link and the QR code.'], qr: ['QR 코드', 'QR code'], qrSave: ['QR 코드 저장 (PNG)', 'Save the QR code (PNG)'],
  pause: ['잠시 멈추기', 'Pause'], resume: ['다시 시작', 'Resume'], close: ['지금 마감하기', 'Close now'], closeSure: ['마감하면 더 응모할 수 없고, 다시 열 수 없습니다.', 'Nobody can enter any more, and it cannot be opened again.'], cancel: ['이벤트 취소', 'Cancel the event'], cancelSure: ['게시물을 내리고 추첨 없이 끝냅니다. 되돌릴 수 없습니다.', 'Posts are taken down and nothing is drawn. This cannot be undone.'], longer: ['기간 늘리기', 'Extend'], ends: ['새 종료 시각', 'New end'], save: ['저장', 'Save'],
  people: ['응모자 보기', 'Entrants'], draw: ['추첨하기', 'Draw the winners'], result: ['당첨자와 증명', 'Winners and proof'], again: ['같은 내용으로 새로 만들기', 'Make another like it'], history: ['기록', 'History'], more: ['더 보기', 'More'], who: ['사장님', 'you'], system: ['자동', 'by itself'],
  created: ['만들어짐', 'Created'], planned: ['제안 선택', 'Proposal chosen'], 'content-chosen': ['이미지 선택', 'Pictures chosen'], 'channels-chosen': ['채널 선택', 'Channels chosen'], approved: ['승인', 'Approved'], opened: ['시작', 'Opened'], paused: ['멈춤', 'Paused'], resumed: ['다시 시작', 'Resumed'], closed: ['마감', 'Closed'], rooted: ['응모 목록 확정', 'List of entries fixed'], drawn: ['추첨', 'Drawn'], cancelled: ['취소', 'Cancelled'], 'end-moved': ['종료 시각 변경', 'End moved'], retitled: ['이름 변경', 'Renamed'], duplicated: ['복사해서 만듦', 'Copied from another'], distributed: ['게시 결과', 'Published'], forfeited: ['당첨 포기 (삭제 요청)', 'A winner forfeited'], destroyed: ['미당첨자 개인정보 파기', 'Data of those who did not win destroyed'], purged: ['개인정보 모두 파기', 'All personal data destroyed'],
});

/** How often figures are asked for while there is no live connection. */
const ASK_MS = 10_000;

/** @param {import('../console.js').Page} page @param {any} event */
export default async function running(page, event) {
  const { id } = event;
  const cards = el('section', { class: 'cards', 'aria-label': t('participants') });
  const spread = el('section', { class: 'card' }), more = el('section', {});
  show(page.main, head(page, event), cards, spread, sharing(page, event), more, history(id));
  /** @type {any} */
  let charts = null;
  const paint = (/** @type {any} */ data) => {
    if ((data.status ?? event.status) !== event.status || (data.endsAt ?? event.endsAt) !== event.endsAt) return page.again();
    event.version = data.version ?? event.version;
    show(cards, figures(data));
    if (!charts) {
      charts = { hourly: columns(t('hourly'), [t('hour'), t('participants')], hours(data)), channels: lines(t('channels'), [t('channel'), t('participants')], perChannel(data)), profile: lines(t('profile'), [t('kind'), t('participants')], profile(data)) };
      show(more, el('div', { class: 'charts' }, charts.none = el('p', { class: 'empty' }, t('none')), charts.hourly.node, charts.channels.node, charts.profile.node), charts.table = el('div', {}), charts.roi = el('div', {}));
    }
    charts.none.hidden = data.cards.participants > 0;
    charts.hourly.node.hidden = charts.profile.node.hidden = data.cards.participants === 0;
    charts.hourly.update(hours(data));
    charts.channels.update(perChannel(data));
    charts.profile.update(profile(data));
    show(charts.table, table(data));
    if (!charts.roi.querySelector('details[open]')) show(charts.roi, roi(data.roi));
  };
  const read = async () => paint(await get(`/api/events/${id}/analytics`));
  page.follow(`event:${id}`, { onSnapshot: paint, onUpdate: ({ data }) => paint(data), onRefused: (code) => show(cards, failed(new Error(code), read)) });
  // Without a live connection the figures are asked for: old ones are worse.
  const asking = setInterval(() => connection().state !== 'open' && read().catch(() => {}), ASK_MS);
  page.left(() => clearInterval(asking));
  if (event.distributionId) publishing(page, event.distributionId, spread, !['scheduled', 'live', 'paused'].includes(event.status));
}

/** @param {import('../console.js').Page} page @param {any} event */
function head(page, event) {
  const command = (/** @type {string} */ verb, /** @type {string} */ label, /** @type {string|null} */ sure, attributes = {}) => button(label, async () => {
    if (sure && !await confirmed(label, sure, label)) return;
    await api('POST', `/api/events/${event.id}/${verb}`, undefined, { 'if-match': `"${event.version}"` });
    await page.again();
  }, attributes);
  const plain = { class: 'plain' }, { status } = event;
  const open = status === 'live' || status === 'paused';
  const close = command('close', t('close'), t('closeSure'), plain);
  const actions = [
    status === 'live' && command('pause', t('pause'), null, plain), status === 'paused' && command('resume', t('resume'), null), open && close,
    status === 'closed' && el('a', { class: 'button', href: `#draw/${event.id}` }, t('draw')), event.drawn && el('a', { class: 'button', href: `#draw/${event.id}` }, t('result')),
    el('a', { class: 'button plain', href: `#people/${event.id}` }, t('people')),
    (open || status === 'scheduled') && command('cancel', t('cancel'), t('cancelSure'), { class: 'link' }),
    !open && status !== 'scheduled' && button(t('again'), async () => page.go(`#event/${(await create(`/api/events/${event.id}/duplicate`)).id}`), { class: 'link' }),
  ];
  return el('section', { class: 'card' }, el('h2', {}, event.title), el('p', {}, el('span', { class: `badge ${status}` }, name(status)), ' ', t('period', { a: when(event.startsAt), b: when(event.closedAt ?? event.endsAt) })),
    el('div', { class: 'row' }, actions));
}

/** @param {import('../console.js').Page} page @param {any} event */
const sharing = (page, event) => ['scheduled', 'live', 'paused'].includes(event.status) && el('section', { class: 'card share' }, share(event), event.status === 'live' && event.visitBonus && visiting(page, event), extend(page, event));

/** @param {any} event */
function share(event) {
  const link = `${location.origin}/e/${event.slug}`, place = el('div', { class: 'qr' });
  picture(`/api/events/${event.id}/qr.svg?channel=QR`).then((src) => show(place, el('img', { src, alt: `${t('qr')}: ${link}`, width: 160, height: 160 })), (error) => show(place, el('p', { class: 'bad' }, error.message)));
  return el('div', {}, place, el('p', {}, `${t('link')}: `, el('a', { href: link, target: '_blank', rel: 'noopener' }, link)),
    el('div', { class: 'row' }, button(t('copy'), () => copy(link), { class: 'link' }), button(t('qrSave'), async () => {
      el('a', { href: await picture(`/api/events/${event.id}/qr.png?channel=QR`), download: `${event.slug}.png` }).click();
    }, { class: 'link' })));
}

/** @param {import('../console.js').Page} page @param {any} event */
const extend = (page, event) => el('details', {}, el('summary', {}, t('longer')), form([field('endsAt', t('ends'), { type: 'datetime-local', value: toField(event.endsAt), min: toField(event.endsAt) })], t('save'), async (v) => {
  await edit('PATCH', `/api/events/${event.id}`, { endsAt: fromField(v.endsAt) }, event.version);
  await page.again();
}));

/** The four cards. @param {any} data */
function figures(data) {
  const { participants, impressions, conversionRate, roiPercent } = data.cards;
  const stale = data.channels.some((/** @type {any} */ c) => c.stale);
  const card = (/** @type {string} */ label, /** @type {string} */ value, /** @type {any} */ note) => el('div', { class: 'card' }, el('div', { class: 'quiet' }, label), el('div', { class: 'figure' }, value), el('div', { class: 'quiet' }, note));
  return [
    card(t('participants'), number(participants), ''),
    card(t('impressions'), number(impressions), impressions == null ? t('notMeasured') : [t('impressionsNote'), stale && el('span', { class: 'badge' }, t('stale'))]),
    card(t('conversion'), percent(conversionRate, 2), conversionRate == null ? t('notMeasured') : t('conversionNote')),
    card(t('roi'), roiPercent == null ? '–' : `${number(Math.round(roiPercent * 10) / 10)}%`, el('span', { class: 'badge' }, data.roi.source === 'ESTIMATED' ? t('estimated') : t('measured'))),
  ];
}

/** Every hour from the first entry's to the last's: at least eight, at most two days. @param {any} data */
function hours({ hourly }) {
  if (!hourly.length) return [];
  const entries = new Map(hourly.map((/** @type {any} */ h) => [Date.parse(h.hour), h.entries]));
  const last = Math.max(...entries.keys()), first = Math.max(Math.min(...entries.keys(), last - 7 * 3_600_000), last - 47 * 3_600_000);
  const bars = [];
  for (let at = first; at <= last; at += 3_600_000) bars.push({ label: t('oclock', { h: new Date(at + 32_400_000).getUTCHours() }), value: entries.get(at) ?? 0 });
  // Two days have each hour twice: the day tells them apart.
  return bars.length > 24 ? bars.map((b, i) => ({ ...b, label: `${new Date(first + (i * 3_600_000) + 32_400_000).getUTCDate()}/${b.label}` })) : bars;
}
/** @param {any} data */
const perChannel = (data) => data.channels.map((/** @type {any} */ c) => ({ label: name(c.channel), value: c.entries, shown: `${number(c.entries)}${c.conversionRate == null ? '' : ` · ${percent(c.conversionRate, 2)}`}` }));
/** @param {any} data */
const profile = ({ profile: { newVsReturning: n } }) => [{ label: t('new'), value: n.new }, { label: t('returning'), value: n.returning }];

/** @param {any} data */
const table = (data) => el('figure', { class: 'card' }, el('figcaption', {}, t('figures')), el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': t('figures') }, el('table', {},
  el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, t('channel')), [t('participants'), t('impressions'), t('clicks'), t('conversion')].map((h) => el('th', { scope: 'col', class: 'number' }, h)))),
  el('tbody', {}, data.channels.map((/** @type {any} */ c) => el('tr', {}, el('th', { scope: 'row' }, name(c.channel), ' ', c.mode === 'SANDBOX' && el('span', { class: 'badge sandbox' }, 'SANDBOX'), c.stale && el('span', { class: 'badge' }, t('stale')), c.asOf && el('div', { class: 'quiet' }, t('asOf', { t: hour(c.asOf) }))),
    [number(c.entries), number(c.impressions), number(c.clicks), percent(c.conversionRate, 2)].map((v) => el('td', { class: 'number' }, v))))))));

/** @param {any} r */
const roi = (r) => el('details', { class: 'card' }, el('summary', {}, t('how')), el('dl', {}, [['prizeCost', r.prizeCostWon], ['platformCost', r.platformCostWon], ['sales', r.salesIncreaseWon], ['ltv', r.ltvWon]].map(([key, value]) => [el('dt', {}, t(/** @type {any} */ (key))), el('dd', {}, won(value))]),
  el('dt', {}, t('newCustomers')), el('dd', {}, number(r.newCustomers))), el('p', { class: 'quiet' }, t('roiNote')));

/** What happened, when, by whom: read when it is opened. @param {string} id */
function history(id) {
  const list = el('ol', { class: 'plain-list' }), place = el('div', {});
  const read = async (/** @type {string|null} */ cursor) => {
    const { items, nextCursor } = await get(`/api/events/${id}/facts?limit=50${cursor ? `&cursor=${cursor}` : ''}`);
    list.append(...items.map((/** @type {any} */ f) => el('li', {}, `${when(f.when)} · ${t(f.what)} `, el('span', { class: 'quiet' }, f.who.startsWith('owner:') ? t('who') : t('system')))));
    if (nextCursor) {
      const node = el('li', {}, button(t('more'), async () => {
        await read(nextCursor);
        node.remove();
      }, { class: 'plain' }));
      list.append(node);
    }
  };
  return el('details', { class: 'card', ontoggle: (/** @type {any} */ e) => e.target.open && !list.children.length && fillIn(place, async () => {
    await read(null);
    return list;
  }) }, el('summary', {}, t('history')), place);
}
