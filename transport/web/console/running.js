// An event that was approved: live figures, channels, link and code, and what can be done with it.
import { api, connection, create, edit, get, picture } from '../api.js';
import { columns, lines } from '../chart.js';
import { button, confirmed, copy, el, failed, field, fillIn, form, show } from '../ui.js';
import { fromField, hour, name, number, percent, toField, when, won } from '../words.js';
import { t } from '../words/running.js';
import { publishing } from './publishing.js';
import visiting from './visiting.js';

/** How often figures are asked for while there is no live connection. */
const ASK_MS = 10_000;

/** @param {import('../console.js').Page} page @param {any} event */
export default async function running(page, event) {
  const { id } = event;
  const cards = el('section', { class: 'cards', 'aria-label': t('participants') });
  const spread = el('section', { class: 'card' }),
    more = el('section', {});
  show(page.main, head(page, event), cards, spread, sharing(page, event), more, history(id));
  /** @type {any} */
  let charts = null;
  const paint = (/** @type {any} */ data) => {
    if ((data.status ?? event.status) !== event.status || (data.endsAt ?? event.endsAt) !== event.endsAt)
      return page.again();
    event.version = data.version ?? event.version;
    show(cards, figures(data));
    if (!charts) {
      charts = {
        hourly: columns(t('hourly'), [t('hour'), t('participants')], hours(data)),
        channels: lines(t('channels'), [t('channel'), t('participants')], perChannel(data)),
        profile: lines(t('profile'), [t('kind'), t('participants')], profile(data)),
      };
      show(
        more,
        el(
          'div',
          { class: 'charts' },
          (charts.none = el('p', { class: 'empty' }, t('none'))),
          charts.hourly.node,
          charts.channels.node,
          charts.profile.node,
        ),
        (charts.table = el('div', {})),
        (charts.roi = el('div', {})),
      );
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
  page.follow(`event:${id}`, {
    onSnapshot: paint,
    onUpdate: ({ data }) => paint(data),
    onRefused: (code) => show(cards, failed(new Error(code), read)),
  });
  // Without a live connection the figures are asked for: old ones are worse.
  const asking = setInterval(() => connection().state !== 'open' && read().catch(() => {}), ASK_MS);
  page.left(() => clearInterval(asking));
  if (event.distributionId)
    publishing(page, event.distributionId, spread, !['scheduled', 'live', 'paused'].includes(event.status));
}

/** @param {import('../console.js').Page} page @param {any} event */
function head(page, event) {
  const command = (
    /** @type {string} */ verb,
    /** @type {string} */ label,
    /** @type {string|null} */ sure,
    attributes = {},
  ) =>
    button(
      label,
      async () => {
        if (sure && !(await confirmed(label, sure, label))) return;
        await api('POST', `/api/events/${event.id}/${verb}`, undefined, { 'if-match': `"${event.version}"` });
        await page.again();
      },
      attributes,
    );
  const plain = { class: 'plain' },
    { status } = event;
  const open = status === 'live' || status === 'paused';
  const close = command('close', t('close'), t('closeSure'), plain);
  const actions = [
    status === 'live' && command('pause', t('pause'), null, plain),
    status === 'paused' && command('resume', t('resume'), null),
    open && close,
    status === 'closed' && el('a', { class: 'button', href: `#draw/${event.id}` }, t('draw')),
    event.drawn && el('a', { class: 'button', href: `#draw/${event.id}` }, t('result')),
    el('a', { class: 'button plain', href: `#people/${event.id}` }, t('people')),
    (open || status === 'scheduled') && command('cancel', t('cancel'), t('cancelSure'), { class: 'link' }),
    !open &&
      status !== 'scheduled' &&
      button(t('again'), async () => page.go(`#event/${(await create(`/api/events/${event.id}/duplicate`)).id}`), {
        class: 'link',
      }),
  ];
  return el(
    'section',
    { class: 'card' },
    el('h2', {}, event.title),
    el(
      'p',
      {},
      el('span', { class: `badge ${status}` }, name(status)),
      ' ',
      t('period', { a: when(event.startsAt), b: when(event.closedAt ?? event.endsAt) }),
    ),
    el('div', { class: 'row' }, actions),
  );
}

/** @param {import('../console.js').Page} page @param {any} event */
const sharing = (page, event) =>
  ['scheduled', 'live', 'paused'].includes(event.status) &&
  el(
    'section',
    { class: 'card share' },
    share(event),
    event.status === 'live' && event.visitBonus && visiting(page, event),
    extend(page, event),
  );

/** @param {any} event */
function share(event) {
  const link = `${location.origin}/e/${event.slug}`,
    place = el('div', { class: 'qr' });
  picture(`/api/events/${event.id}/qr.svg?channel=QR`).then(
    (src) => show(place, el('img', { src, alt: `${t('qr')}: ${link}`, width: 160, height: 160 })),
    (error) => show(place, el('p', { class: 'bad' }, error.message)),
  );
  return el(
    'div',
    {},
    place,
    el('p', {}, `${t('link')}: `, el('a', { href: link, target: '_blank', rel: 'noopener' }, link)),
    el(
      'div',
      { class: 'row' },
      button(t('copy'), () => copy(link), { class: 'link' }),
      button(
        t('qrSave'),
        async () => {
          el('a', {
            href: await picture(`/api/events/${event.id}/qr.png?channel=QR`),
            download: `${event.slug}.png`,
          }).click();
        },
        { class: 'link' },
      ),
    ),
  );
}

/** @param {import('../console.js').Page} page @param {any} event */
const extend = (page, event) =>
  el(
    'details',
    {},
    el('summary', {}, t('longer')),
    form(
      [
        field('endsAt', t('ends'), {
          type: 'datetime-local',
          value: toField(event.endsAt),
          min: toField(event.endsAt),
        }),
      ],
      t('save'),
      async (v) => {
        await edit('PATCH', `/api/events/${event.id}`, { endsAt: fromField(v.endsAt) }, event.version);
        await page.again();
      },
    ),
  );

/** The four cards. @param {any} data */
function figures(data) {
  const { participants, impressions, conversionRate, roiPercent } = data.cards;
  const stale = data.channels.some((/** @type {any} */ c) => c.stale);
  const card = (/** @type {string} */ label, /** @type {string} */ value, /** @type {any} */ note) =>
    el(
      'div',
      { class: 'card' },
      el('div', { class: 'quiet' }, label),
      el('div', { class: 'figure' }, value),
      el('div', { class: 'quiet' }, note),
    );
  return [
    card(t('participants'), number(participants), ''),
    card(
      t('impressions'),
      number(impressions),
      impressions == null
        ? t('notMeasured')
        : [t('impressionsNote'), stale && el('span', { class: 'badge' }, t('stale'))],
    ),
    card(t('conversion'), percent(conversionRate, 2), conversionRate == null ? t('notMeasured') : t('conversionNote')),
    card(
      t('roi'),
      roiPercent == null ? '–' : `${number(Math.round(roiPercent * 10) / 10)}%`,
      el('span', { class: 'badge' }, data.roi.source === 'ESTIMATED' ? t('estimated') : t('measured')),
    ),
  ];
}

/** Every hour from the first entry's to the last's: at least eight, at most two days. @param {any} data */
function hours({ hourly }) {
  if (!hourly.length) return [];
  const entries = new Map(hourly.map((/** @type {any} */ h) => [Date.parse(h.hour), h.entries]));
  const last = Math.max(...entries.keys()),
    first = Math.max(Math.min(...entries.keys(), last - 7 * 3_600_000), last - 47 * 3_600_000);
  const bars = [];
  for (let at = first; at <= last; at += 3_600_000)
    bars.push({ label: t('oclock', { h: new Date(at + 32_400_000).getUTCHours() }), value: entries.get(at) ?? 0 });
  // Two days have each hour twice: the day tells them apart.
  return bars.length > 24
    ? bars.map((b, i) => ({ ...b, label: `${new Date(first + i * 3_600_000 + 32_400_000).getUTCDate()}/${b.label}` }))
    : bars;
}
/** @param {any} data */
const perChannel = (data) =>
  data.channels.map((/** @type {any} */ c) => ({
    label: name(c.channel),
    value: c.entries,
    shown: `${number(c.entries)}${c.conversionRate == null ? '' : ` · ${percent(c.conversionRate, 2)}`}`,
  }));
/** @param {any} data */
const profile = ({ profile: { newVsReturning: n } }) => [
  { label: t('new'), value: n.new },
  { label: t('returning'), value: n.returning },
];

/** @param {any} data */
const table = (data) =>
  el(
    'figure',
    { class: 'card' },
    el('figcaption', {}, t('figures')),
    el(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': t('figures') },
      el(
        'table',
        {},
        el(
          'thead',
          {},
          el(
            'tr',
            {},
            el('th', { scope: 'col' }, t('channel')),
            [t('participants'), t('impressions'), t('clicks'), t('conversion')].map((h) =>
              el('th', { scope: 'col', class: 'number' }, h),
            ),
          ),
        ),
        el(
          'tbody',
          {},
          data.channels.map((/** @type {any} */ c) =>
            el(
              'tr',
              {},
              el(
                'th',
                { scope: 'row' },
                name(c.channel),
                ' ',
                c.mode === 'SANDBOX' && el('span', { class: 'badge sandbox' }, 'SANDBOX'),
                c.stale && el('span', { class: 'badge' }, t('stale')),
                c.asOf && el('div', { class: 'quiet' }, t('asOf', { t: hour(c.asOf) })),
              ),
              [number(c.entries), number(c.impressions), number(c.clicks), percent(c.conversionRate, 2)].map((v) =>
                el('td', { class: 'number' }, v),
              ),
            ),
          ),
        ),
      ),
    ),
  );

/** @param {any} r */
const roi = (r) =>
  el(
    'details',
    { class: 'card' },
    el('summary', {}, t('how')),
    el(
      'dl',
      {},
      [
        ['prizeCost', r.prizeCostWon],
        ['platformCost', r.platformCostWon],
        ['sales', r.salesIncreaseWon],
        ['ltv', r.ltvWon],
      ].map(([key, value]) => [el('dt', {}, t(/** @type {any} */ (key))), el('dd', {}, won(value))]),
      el('dt', {}, t('newCustomers')),
      el('dd', {}, number(r.newCustomers)),
    ),
    el('p', { class: 'quiet' }, t('roiNote')),
  );

/** What happened, when, by whom: read when it is opened. @param {string} id */
function history(id) {
  const list = el('ol', { class: 'plain-list' }),
    place = el('div', {});
  const read = async (/** @type {string|null} */ cursor) => {
    const { items, nextCursor } = await get(`/api/events/${id}/facts?limit=50${cursor ? `&cursor=${cursor}` : ''}`);
    list.append(
      ...items.map((/** @type {any} */ f) =>
        el(
          'li',
          {},
          `${when(f.when)} · ${t(f.what)} `,
          el('span', { class: 'quiet' }, f.who.startsWith('owner:') ? t('who') : t('system')),
        ),
      ),
    );
    if (nextCursor) {
      const node = el(
        'li',
        {},
        button(
          t('more'),
          async () => {
            await read(nextCursor);
            node.remove();
          },
          { class: 'plain' },
        ),
      );
      list.append(node);
    }
  };
  return el(
    'details',
    {
      class: 'card',
      ontoggle: (/** @type {any} */ e) =>
        e.target.open &&
        !list.children.length &&
        fillIn(place, async () => {
          await read(null);
          return list;
        }),
    },
    el('summary', {}, t('history')),
    place,
  );
}
