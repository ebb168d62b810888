// What devices and people really do: storage that fails, answers that are lost, clocks that are wrong, keys pressed twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MINUTE, another, close, draw, enter, fillIn, losing, moved, pictured, sendButton } from './guests.mjs';
import { DESKTOP, PHONE, businessNumber, client, open, shared, signedIn, until } from './madang.mjs';

const all = shared();
/** A service worker of an earlier test must not stand between a page and its routes. */
const ALONE = { serviceWorkers: 'block' };

/** An owner with a live event, and a page for whoever comes. */
async function party(plan = {}, device = PHONE) {
  const { base } = all.server;
  const api = client(base);
  const tokens = await api.signup();
  const live = await api.live(['NAVER'], plan);
  return { base, api, tokens, live, link: `${base}/e/${live.slug}`, ...(await open(all.chrome, { ...device, ...ALONE })) };
}

/** An owner who is signed in, without an event. */
async function owned(device = DESKTOP) {
  const { base } = all.server;
  const api = client(base);
  const tokens = await api.signup();
  const opened = await open(all.chrome, { ...device, ...ALONE });
  await signedIn(opened.page, base, tokens);
  await opened.page.getByRole('heading', { name: '내 이벤트' }).waitFor();
  return { base, api, tokens, ...opened };
}

/** Ways in which a browser keeps nothing, each as a script that runs before the page. */
const BROKEN = {
  'reading throws': () => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, name, { get: () => { throw new DOMException('denied', 'SecurityError'); } });
    }
  },
  'there is none': () => {
    for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { value: null });
  },
  'every call throws': () => {
    for (const name of ['getItem', 'setItem', 'removeItem', 'key']) {
      Storage.prototype[name] = () => { throw new DOMException('denied', 'SecurityError'); };
    }
  },
  'it is full': () => {
    Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };
  },
  'it forgets': () => {
    Storage.prototype.setItem = () => {};
  },
};

/** Case 13. */
test('a customer enters without storage, and the receipt outlives a reload and another language', async () => {
  for (const [how, broken] of Object.entries(BROKEN)) {
    const { context, page, trouble, link } = await party();
    await context.addInitScript(broken);
    await page.goto(link);
    await enter(page, 1);
    await page.getByText('1번으로 응모됐어요').waitFor();
    await page.reload();
    await page.getByText('1번으로 응모됐어요').waitFor();
    await page.getByRole('button', { name: 'English' }).click();
    await page.getByText('You are in, as number 1').waitFor();
    assert.deepEqual(trouble, [], how);
    await context.close();
  }
});

/** Case 13. */
test('an owner signs in without storage', async () => {
  const { base } = all.server;
  for (const [how, broken] of Object.entries(BROKEN)) {
    const api = client(base);
    const { user } = await api.signup();
    const { context, page, trouble } = await open(all.chrome, { ...DESKTOP, ...ALONE });
    await context.addInitScript(broken);
    await page.goto(base);
    await page.getByLabel('이메일').fill(user.email);
    await page.getByLabel('비밀번호').fill('correct horse');
    await page.getByRole('button', { name: '로그인' }).click();
    await page.getByRole('heading', { name: '내 이벤트' }).waitFor();
    await page.getByRole('button', { name: 'English' }).click();
    await page.getByRole('heading', { name: 'My events' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.deepEqual(trouble, [], how);
    await context.close();
  }
});

/** Case 13. */
test('a login that is damaged is none', async () => {
  const { base } = all.server;
  const { context, page, trouble } = await open(all.chrome, { ...DESKTOP, ...ALONE });
  await page.goto(base);
  const halves = [{ accessToken: 'x', refreshToken: 'y' }, { accessToken: 'a.b.c', refreshToken: 1 }, { accessToken: 'a.e30.c', refreshToken: 'y' }];
  for (const value of ['{', 'undefined', '[]', '"x"', '{}', '7', 'null', 'true', '', ...halves.map((half) => JSON.stringify(half))]) {
    await page.evaluate((v) => {
      localStorage.setItem('madang', v);
      localStorage.setItem('madang-language', v);
      for (const key of ['typed signup', 'once /api/users/signup ']) sessionStorage.setItem(key, v);
    }, value);
    await page.goto(`${base}/#`);
    await page.reload();
    await page.getByRole('heading', { name: '로그인' }).waitFor();
    assert.equal(await page.evaluate(() => localStorage.getItem('madang')), null, value);
    await page.goto(`${base}/#signup`);
    await page.getByLabel('매장 이름').waitFor();
  }
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case 13. */
test('damaged storage spoils neither the customer page nor a plan that was begun', async () => {
  const { base, api, tokens, live, link, context, page, trouble } = await party();
  await page.goto(link);
  for (const value of ['{', 'undefined', '[]', '"x"', '{}', '7', 'null']) {
    await page.evaluate(([slug, v]) => {
      for (const key of [`madang-receipt-${slug}`, `madang-receipt-${slug}.x`, 'madang-language']) localStorage.setItem(key, v);
      for (let drawer = 0; drawer < 4_096; drawer++) localStorage.setItem(`madang-key-${slug}.${drawer}`, v);
      for (const key of [`madang-own-${slug}`, `typed entry ${slug}`, `typed notice ${slug}`]) sessionStorage.setItem(key, v);
    }, [live.slug, value]);
    await page.reload();
    await page.getByLabel('이름').waitFor();
  }
  await enter(page, 1);
  await page.getByText('1번으로 응모됐어요').waitFor();
  await signedIn(page, base, tokens);
  const event = await api.call('POST', '/api/events', { objective: 'SALES' });
  await page.goto(`${base}/#event/${event.id}`);
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(2).waitFor();
  const choose = page.getByRole('button', { name: '이 제안으로 하기' }).first();
  await choose.click();
  const prizes = await page.locator('.prize').count();
  await page.getByLabel('이벤트 이름').fill('단골 감사제');
  for (const value of ['{', '[]', '"x"', '{}', '7', '{"title":5}']) {
    await page.evaluate((v) => {
      const plans = Object.keys(sessionStorage).filter((key) => key.startsWith('typed plan '));
      if (plans.length !== 1) throw new Error(`${plans.length} plans`);
      sessionStorage.setItem(plans[0], v);
    }, value);
    await page.reload();
    await page.getByLabel('이벤트 이름').waitFor();
    assert.equal(await page.locator('.prize').count(), prizes, value);
  }
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case 13, what is like storage. */
test('a browser without workers, clipboard and hashes says what it cannot do', async () => {
  const { base, api, tokens, live, link, context, page, trouble } = await party();
  await context.addInitScript(() => {
    Object.defineProperty(navigator, 'serviceWorker', { value: { register: () => { throw new TypeError('not here'); } } });
    Object.defineProperty(navigator, 'clipboard', { value: undefined });
    Object.defineProperty(crypto, 'subtle', { value: undefined });
  });
  await page.goto(link);
  await enter(page, 1);
  await page.getByRole('button', { name: '확인증 복사' }).click();
  await page.getByText('복사하지 못했어요').waitFor();
  await draw(api, live);
  await page.getByRole('button', { name: '추첨 확인하기' }).click();
  await page.getByText('https 주소로').waitFor();
  assert.equal(await page.getByText('증명됐어요').count(), 0);
  await signedIn(page, base, tokens);
  await page.getByRole('heading', { name: '내 이벤트' }).waitFor();
  assert.deepEqual(trouble, []);
  await context.close();
});

const RETURNS = {
  'pressed again': async () => {},
  'after a reload': (page) => page.reload(),
  'in another language': (page) => page.getByRole('button', { name: 'English' }).click(),
};

/** Case 11. */
test('an entry whose answer was lost has its number and receipt afterwards', async () => {
  for (const [how, comeBack] of Object.entries(RETURNS)) {
    const { api, live, link, context, page, trouble } = await party();
    const sent = await losing(page, '**/entries');
    await page.goto(link);
    await enter(page, 1);
    await page.getByText('서버에 닿지 않아요').waitFor();
    await comeBack(page);
    // What was typed is there, in whatever language.
    await until('the form', async () => (await page.locator('#f-name').inputValue().catch(() => '')) === '손님1');
    assert.equal(await page.locator('#f-phone').inputValue(), '010-2345-0001');
    assert.equal(await page.locator('#f-consents-privacy').isChecked(), true);
    await sendButton(page).click();
    await page.getByText(/1번으로 응모됐어요|as number 1/).waitFor();
    assert.match(await page.locator('.receipt code').textContent(), /^[0-9a-f]{32}$/);
    assert.deepEqual([sent.length, new Set(sent.map((s) => s.key)).size], [2, 1], how);
    const { items } = await api.call('GET', `/api/events/${live.id}/participants`);
    assert.equal(items.length, 1, how);
    assert.deepEqual(trouble, []);
    await context.close();
  }
});

/** Case 11: whoever came in between, and whatever became of the event. */
test('a lost entry is found after somebody else entered, and after the close', async () => {
  const { api, live, link, context, page, trouble } = await party();
  await losing(page, '**/entries');
  await page.goto(link);
  await enter(page, 1);
  await page.getByText('서버에 닿지 않아요').waitFor();
  await enter(page, 2);
  await page.getByText('2번으로 응모됐어요').waitFor();
  await another(page);
  await enter(page, 1);
  await page.getByText('1번으로 응모됐어요').waitFor();
  await page.unroute('**/entries');
  await another(page);
  await losing(page, '**/entries');
  await enter(page, 3);
  await page.getByText('서버에 닿지 않아요').waitFor();
  await api.call('POST', `/api/events/${live.id}/close`);
  await page.reload();
  await page.getByText('답을 받지 못했어요').waitFor();
  await sendButton(page).click();
  await page.getByText('3번으로 응모됐어요').waitFor();
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Shows the receipts that others left at this device. */
const showOthers = (page) => page.getByRole('button', { name: /이 기기에 남은 확인증/ }).click();

/** Case O13. */
test('two people at one phone, in two tabs, each keep the receipt', async () => {
  const { link, context, page: first, trouble } = await party();
  const second = await context.newPage();
  await first.goto(link);
  await second.goto(link);
  await enter(first, 1);
  await first.getByText('1번으로 응모됐어요').waitFor();
  await enter(second, 2);
  await second.getByText('2번으로 응모됐어요').waitFor();
  for (const [page, own] of [[first, '1번'], [second, '2번'], [first, '1번']]) {
    await page.reload();
    await page.locator('.receipt').first().waitFor();
    assert.ok((await page.locator('.receipt').innerText()).startsWith(own), `only ${own} is shown in its tab`);
    await showOthers(page);
    await until('both receipts', async () => (await page.locator('.receipt').count()) === 2);
    assert.ok((await page.locator('.receipt').first().innerText()).startsWith(own), `${own} is first in its tab`);
    assert.equal(await page.getByRole('button', { name: '내 응모 지우기' }).count(), 1, 'nobody erases for another');
  }
  // What one erases is gone, and only that.
  await first.locator('.receipt').first().getByRole('button', { name: '내 응모 지우기' }).click();
  await first.getByRole('dialog').getByRole('button', { name: '내 응모 지우기' }).click();
  await until('one is left', async () => (await first.locator('.receipt').count()) === 1);
  await second.reload();
  await second.getByText('2번으로 응모됐어요').waitFor();
  assert.equal(await second.locator('.receipt').count(), 1);
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case 12. */
test('a signup whose answer was lost is one account, pressed again or after a reload', async () => {
  for (const reload of [false, true]) {
    const { context, page, trouble } = await open(all.chrome, { ...PHONE, ...ALONE });
    const sent = await losing(page, '**/api/users/signup');
    await page.goto(`${all.server.base}/#signup`);
    const typed = { 이메일: `${crypto.randomUUID()}@test.example`, '대표자 이름': '김주인', 휴대전화번호: '010-2222-3333', 사업자등록번호: businessNumber(), 개업일: '2020-01-02', '매장 이름': '골목빵집', 지역: '서울 마포구' };
    for (const [label, value] of Object.entries(typed)) await page.getByLabel(label).fill(value);
    await page.getByLabel('업종').selectOption('BAKERY');
    await page.getByLabel('비밀번호').fill('correct horse');
    await page.getByRole('button', { name: '가입하기' }).click();
    await page.getByText('서버에 닿지 않아요').waitFor();
    assert.ok(!(await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }))).includes('correct horse'), 'no password is kept');
    if (reload) {
      await page.reload();
      await page.getByLabel('비밀번호').fill('correct horse');
    }
    await page.getByRole('button', { name: '가입하기' }).click();
    await page.getByText('아직 이벤트가 없어요').waitFor();
    assert.deepEqual([sent.length, sent[0].key === sent[1].key, /^[0-9a-f]{32}$/.test(sent[0].key)], [2, true, true]);
    assert.deepEqual(trouble, []);
    await context.close();
  }
});

/** Case 12. */
test('a new event is one draft: pressed twice, with a lost answer, after a reload', async () => {
  const { api, context, page, trouble } = await owned();
  const drafts = async () => (await api.call('GET', '/api/events')).items.length;
  const press = () => page.getByRole('button', { name: /신규 고객 유치/ });
  const sent = await losing(page, '**/api/events');
  await press().dblclick();
  await page.getByText('서버에 닿지 않아요').waitFor();
  assert.equal(sent.length, 1, 'the second press does nothing while the first is on its way');
  await page.reload();
  await press().click();
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(2).waitFor();
  assert.equal(await drafts(), 1);
  // With its answer it is over: the next is another.
  await page.goto(`${all.server.base}/#`);
  await press().click();
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(2).waitFor();
  assert.equal(await drafts(), 2);
  assert.equal(new Set(sent.map((s) => s.key)).size, 2);
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case 12. */
test('a copy and a draw whose answers were lost are made once', async () => {
  const { base, api, tokens, live, context, page, trouble } = await party({}, DESKTOP);
  for (let n = 1; n <= 4; n++) await api.enter(live.slug, n);
  await close(api, live);
  await signedIn(page, base, tokens);
  const draws = await losing(page, '**/draws');
  await page.goto(`${base}/#draw/${live.id}`);
  for (let tries = 0; tries < 2; tries++) {
    await page.getByRole('button', { name: '지금 추첨하기' }).click();
    await page.getByRole('dialog').getByRole('button', { name: '지금 추첨하기' }).click();
    if (tries === 0) await page.getByText('서버에 닿지 않아요').waitFor();
  }
  await page.getByRole('heading', { name: '당첨자' }).waitFor();
  assert.deepEqual([draws.length, draws[0].key === draws[1].key, draws[0].body === draws[1].body], [2, true, true]);
  const copies = await losing(page, '**/duplicate');
  await page.goto(`${base}/#event/${live.id}`);
  await page.getByRole('button', { name: '같은 내용으로 새로 만들기' }).click();
  await page.getByText('서버에 닿지 않아요').waitFor();
  await page.reload();
  await page.getByRole('button', { name: '같은 내용으로 새로 만들기' }).click();
  await page.getByLabel('이벤트 이름').waitFor();
  assert.deepEqual([copies.length, copies[0].key === copies[1].key], [2, true]);
  assert.equal((await api.call('GET', '/api/events?status=drafting')).items.length, 1);
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case 15. */
test('a start that is left empty is the approval, whatever the clock of the browser says', async () => {
  for (const by of [120 * MINUTE, 5 * MINUTE, -120 * MINUTE, 30 * 24 * 60 * MINUTE]) {
    const { base, api, context, page, trouble } = await owned();
    await moved(context, by);
    const event = await api.call('POST', '/api/events', { objective: 'SALES' });
    await page.goto(`${base}/#event/${event.id}`);
    await page.reload();
    await page.getByRole('button', { name: '이 제안으로 하기' }).nth(1).click();
    const planning = page.waitForRequest((request) => request.method() === 'PUT' && request.url().endsWith('/plan'));
    await page.getByRole('button', { name: '다음' }).click();
    const plan = (await planning).postDataJSON();
    assert.equal('startsAt' in plan, false, 'nobody chose a start');
    await page.locator('.tile').first().waitFor();
    await pictured(api, event);
    await api.call('PUT', `/api/events/${event.id}/channels`, { channels: ['NAVER'] });
    await page.goto(`${base}/#event/${event.id}/5`);
    await page.getByText('승인하면 바로').waitFor();
    await api.call('POST', `/api/events/${event.id}/approve`);
    const approved = await api.call('GET', `/api/events/${event.id}`);
    assert.equal(approved.status, 'live', `${by / MINUTE} minutes off`);
    assert.ok(Math.abs(Date.parse(approved.startsAt) - Date.now()) < 2 * MINUTE, approved.startsAt);
    const days = (Date.parse(approved.endsAt) - Date.now()) / (24 * 60 * MINUTE);
    assert.ok(days > 0 && Math.abs(days - Math.round(days)) < 0.01, `it ends some whole days from now: ${days}`);
    assert.deepEqual(trouble, []);
    await context.close();
  }
});

/** Case 15. */
test('no shop opened tomorrow, whatever the clock of the browser says', async () => {
  const today = () => new Date(Date.now() + 9 * 60 * MINUTE).toISOString().slice(0, 10);
  for (const by of [30 * 24 * 60 * MINUTE, -30 * 24 * 60 * MINUTE]) {
    const { context, page } = await open(all.chrome, { ...PHONE, ...ALONE });
    await moved(context, by);
    const before = today();
    await page.goto(`${all.server.base}/#signup`);
    const max = await page.getByLabel('개업일').getAttribute('max');
    assert.ok([before, today()].includes(max), max);
    await context.close();
  }
});

/** Case 16. */
test('the code for visitors is renewed in time, whatever the clock of the browser says', async () => {
  const LASTS_MS = 4_000;
  const token = (n) => String(n).padStart(32, '0');
  for (const by of [-10 * MINUTE, 2 * MINUTE, 0]) {
    const { base, tokens, live, context, page, trouble } = await party({ visitBonus: { weight: 3 } });
    const asked = [];
    await page.route('**/visit-code', async (route) => {
      asked.push(performance.now());
      const code = String(100_000 + asked.length);
      const validUntil = new Date(Date.now() + LASTS_MS).toISOString();
      await route.fulfill({ json: { code, token: token(asked.length), validUntil }, headers: { date: new Date().toUTCString() } });
    });
    const linked = [];
    page.on('request', (request) => /qr\.svg.*[?&]v=/.test(request.url()) && linked.push(new URL(request.url()).searchParams.get('v')));
    await moved(context, by);
    await signedIn(page, base, tokens);
    await page.goto(`${base}/#event/${live.id}`);
    for (const code of ['100001', '100002', '100003', '100004']) {
      await page.getByText(code).waitFor({ timeout: 3 * LASTS_MS });
      await page.getByAltText(`매장 방문 QR 코드: ${code}`).waitFor();
    }
    assert.deepEqual(linked.slice(0, 4), [1, 2, 3, 4].map(token), 'each QR code has the token of its minute');
    const pauses = asked.slice(1).map((at, i) => Math.round(at - asked[i]));
    assert.ok(pauses.every((pause) => pause >= 2_500 && pause <= 2 * LASTS_MS), `${by / MINUTE} minutes off: ${pauses}`);
    assert.deepEqual(trouble, []);
    await context.close();
  }
});

/** A tablet that slept, or lost its network: an old code is shown to nobody, and the next one comes as soon as it can. */
test('a code for visitors that is over is not shown', async () => {
  const { base, tokens, live, context, page, trouble } = await party({ visitBonus: { weight: 3 } });
  let asked = 0;
  let reachable = true;
  await page.route('**/visit-code', (route) => {
    if (!reachable) return undefined;
    const answer = { code: String(100_001 + asked), token: String(asked++).padStart(32, '0'), validUntil: new Date(Date.now() + 4_000).toISOString() };
    return route.fulfill({ json: answer, headers: { date: new Date().toUTCString() } });
  });
  await signedIn(page, base, tokens);
  await page.goto(`${base}/#event/${live.id}`);
  await page.getByAltText('매장 방문 QR 코드: 100001').waitFor();
  reachable = false;
  const shown = page.locator('.share output');
  await until('no code', async () => (await shown.innerText()) === '······', 12_000);
  assert.equal(await page.getByAltText(/매장 방문 QR 코드/).count(), 0);
  const before = asked;
  reachable = true;
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await until('the next code', async () => (await shown.innerText()) !== '······', 5_000);
  assert.ok(asked > before);
  assert.deepEqual(trouble, []);
  await context.close();
});

/** The QR code on paper: made, shown again, and voided by a page that did not make it. */
test('a paper for visitors is voided after a reload too', async () => {
  const { base, api, tokens, live, context, page, trouble } = await party({ visitBonus: { weight: 3 } });
  await signedIn(page, base, tokens);
  await page.goto(`${base}/#event/${live.id}`);
  const made = page.waitForResponse((answer) => answer.url().endsWith('/visit-paper') && answer.request().method() === 'POST');
  const paper = () => page.getByRole('button', { name: '오늘 하루 쓰는 종이 QR' }).click();
  await paper();
  const { token } = await (await made).json();
  await page.getByAltText('오늘 하루 쓰는 종이 QR').waitFor();
  await page.getByRole('link', { name: '종이 QR 저장 (PNG)' }).waitFor();
  const enter = (n, visitCode) => {
    const body = { name: '김손님', phone: `010${String(n).padStart(8, '0')}`, consents: { privacy: true }, visitCode };
    return api.call('POST', `/api/participation/events/${live.slug}/entries`, body);
  };
  await enter(1, token);
  await page.reload();
  await page.getByRole('button', { name: '종이 QR 못 쓰게 하기' }).click();
  await page.getByRole('dialog').getByRole('button', { name: '종이 QR 못 쓰게 하기' }).click();
  await page.getByText('종이 QR을 못 쓰게 했어요').waitFor();
  await assert.rejects(enter(2, token), /visit-code-invalid/);
  await page.getByText('기록', { exact: true }).click();
  await page.getByText('종이 QR 사용 중지').waitFor();
  assert.deepEqual(trouble, []);
  await context.close();
});

/** A shop's tablet: somebody typed, and left. */
test('what a customer typed and left is emptied after ten minutes', async () => {
  const { link, context, page, trouble } = await party();
  await page.clock.install();
  await page.goto(link);
  await fillIn(page, 1);
  await page.clock.fastForward('09:00');
  assert.equal(await page.getByLabel('이름').inputValue(), '손님1');
  await page.clock.fastForward('01:01');
  await until('the form is empty', async () => (await page.getByLabel('이름').inputValue()) === '');
  assert.deepEqual([await page.getByLabel('휴대전화번호').inputValue(), await page.getByLabel(/필수/).isChecked()], ['', false]);
  assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage).filter((key) => key.startsWith('typed'))), []);
  // A tablet that slept meanwhile runs no timer: what is old is gone when the page is loaded again.
  await fillIn(page, 2);
  await page.evaluate(() => {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith('typed at ')) sessionStorage.setItem(key, String(Date.now() - 601_000));
  });
  await page.reload();
  assert.equal(await page.getByLabel('이름').inputValue(), '');
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case 30. */
test('a visit code counts however it is pasted', async () => {
  const { api, live, link, context, page, trouble } = await party({ visitBonus: { weight: 3 } });
  const wide = (digits) => [...digits].map((d) => String.fromCharCode(d.charCodeAt(0) + 0xfee0)).join('');
  const spellings = [(c) => `${c.slice(0, 3)} ${c.slice(3)}`, (c) => `${c.slice(0, 3)}-${c.slice(3)}`, wide, (c) => ` ${c}\u200b `];
  await page.goto(link);
  for (const [i, spelled] of spellings.entries()) {
    const { code } = await api.call('GET', `/api/events/${live.id}/visit-code`);
    await fillIn(page, i + 1);
    await page.getByLabel(/6자리 코드/).focus();
    await page.keyboard.insertText(spelled(code));
    await sendButton(page).click();
    await page.getByText(`${i + 1}번으로 응모됐어요`).waitFor();
    await another(page);
  }
  await fillIn(page, 9);
  await page.getByLabel(/6자리 코드/).fill('12 34');
  await sendButton(page).click();
  await page.getByText('숫자 6자리가 아니에요').waitFor();
  const { items } = await api.call('GET', `/api/events/${live.id}/participants`);
  assert.deepEqual(items.map((p) => p.visited), spellings.map(() => true));
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case 30: the link of the QR code in the shop. */
test('a visit link fills the code in, and one that is over says so', async () => {
  const { api, live, link, context, page, trouble } = await party({ visitBonus: { weight: 3 } });
  const { token } = await api.call('GET', `/api/events/${live.id}/visit-code`);
  await page.goto(`${link}?c=QR&v=${encodeURIComponent(token)}`);
  await page.getByText('매장 방문 코드가 들어 있어요').waitFor();
  await enter(page, 1);
  await page.getByText('1번으로 응모됐어요').waitFor();
  await page.goto(`${link}?c=QR&v=${'A'.repeat(token.length)}`);
  await another(page);
  await enter(page, 2);
  await page.getByText('방문 코드의 시간이 지났어요').waitFor();
  assert.equal(await page.getByLabel('이름').inputValue(), '손님2', 'what was typed is still there');
  await page.getByLabel(/6자리 코드/).waitFor();
  await sendButton(page).click();
  await page.getByText('2번으로 응모됐어요').waitFor();
  const { items } = await api.call('GET', `/api/events/${live.id}/participants`);
  assert.deepEqual(items.map((p) => p.visited), [true, false]);
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case 2. */
test('pictures are shown at localhost too', async () => {
  const base = all.server.base.replace('127.0.0.1', 'localhost');
  const api = client(all.server.base);
  const tokens = await api.signup();
  const { context, page, trouble } = await open(all.chrome, { ...DESKTOP, ...ALONE });
  await signedIn(page, base, tokens);
  const event = await api.call('POST', '/api/events', { objective: 'SALES' });
  await page.goto(`${base}/#event/${event.id}`);
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(1).click();
  await page.getByRole('button', { name: '다음' }).click();
  await until('nine pictures', async () => (await page.locator('.tile').count()) === 9, 60_000);
  const pictures = page.locator('.tile img');
  for (let i = 0; i < 9; i++) {
    await pictures.nth(i).scrollIntoViewIfNeeded();
    await until(`picture ${i}`, () => pictures.nth(i).evaluate((img) => img.complete && img.naturalWidth > 0));
  }
  assert.deepEqual(trouble.filter((line) => /img-src/.test(line)), []);
  await context.close();
});

/** Case owncast #3334. */
test('a screen reader hears the count once in several seconds, and the newest one', async () => {
  const { api, live, link, context, page, trouble } = await party();
  await page.goto(link);
  await page.getByText('지금까지 0명 응모').waitFor();
  await page.evaluate(() => {
    globalThis.heard = [];
    const watched = '[role=status], [role=alert], [aria-live]';
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        const place = (target.nodeType === 1 ? target : target.parentElement)?.closest(watched);
        if (place?.textContent) globalThis.heard.push({ at: performance.now(), text: place.textContent });
      }
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  const began = performance.now();
  for (let n = 1; n <= 60; n++) {
    await api.enter(live.slug, n);
    await new Promise((beat) => setTimeout(beat, Math.max(0, began + n * 100 - performance.now())));
  }
  await page.getByText('지금까지 60명 응모').waitFor();
  await until('the last count is said', async () => (await page.evaluate(() => globalThis.heard.at(-1)?.text ?? '')).includes('60'));
  const heard = await page.evaluate(() => globalThis.heard);
  const pauses = heard.slice(1).map(({ at }, i) => at - heard[i].at);
  assert.ok(heard.length <= 3 && pauses.every((pause) => pause > 9_000), JSON.stringify(heard));
  assert.deepEqual(trouble, []);
  await context.close();
});

/** Case H2, and the low one beside it: what the page calls proved it has computed. */
test('a customer checks the draw in the page, and loads the whole proof only then', async () => {
  const { base, api, live, link, context, page, trouble } = await party();
  for (let n = 11; n < 16; n++) await api.enter(live.slug, n);
  await page.goto(link);
  await enter(page, 1);
  await page.getByText('6번으로 응모됐어요').waitFor();
  await draw(api, live);
  const proofs = [];
  page.on('request', (request) => new URL(request.url()).pathname.endsWith('/draw') && proofs.push(request.url()));
  await page.reload();
  await page.getByRole('heading', { name: '당첨자' }).waitFor();
  await page.locator('.winners li').first().waitFor();
  assert.deepEqual([proofs.length, await page.getByText('증명됐어요').count()], [0, 0], 'nothing is proved, and nothing loaded for it');
  await page.getByRole('button', { name: '추첨 확인하기' }).click();
  await page.getByText('✓ 6번 응모가 이 목록에 들어 있음이 증명됐어요').waitFor();
  assert.deepEqual([proofs.length, await page.locator('li.good').count(), await page.locator('li.bad').count()], [1, 3, 0]);
  // A path that leads elsewhere, a list that is another, a number that was not promised.
  const lies = {
    '**/receipts/*': (body) => (body.draw.inclusionProof.path[0] = 'ab'.repeat(32)),
    '**/draw': (body) => (body.leaves[0][0] = 7),
    [`**/events/${live.slug}`]: (body) => (body.draw.commitment = 'cd'.repeat(32)),
  };
  for (const [address, lie] of Object.entries(lies)) {
    await page.route(address, async (route) => {
      const response = await route.fetch();
      const body = await response.json();
      lie(body);
      await route.fulfill({ response, json: body });
    });
    await page.goto(`${base}/e/${live.slug}`);
    await page.reload();
    await page.getByRole('button', { name: '추첨 확인하기' }).click();
    await page.locator('li.bad').first().waitFor();
    await page.unroute(address);
  }
  assert.deepEqual(trouble, []);
  await context.close();
});

/** What making.js promised: a film, a voice. */
test('the channels promise what there is', async () => {
  const { base, api, context, page } = await owned();
  const event = await api.call('POST', '/api/events', { objective: 'SALES' });
  const asked = await api.call('POST', '/api/ai/recommendations', { eventId: event.id });
  const { options } = asked.jobId ? await api.job(asked.jobId) : asked;
  await api.call('PUT', `/api/events/${event.id}/plan`, { optionId: options[0].id });
  await pictured(api, event);
  await page.goto(`${base}/#event/${event.id}/4`);
  await page.getByText('그림 한 장').first().waitFor();
  const shown = await page.locator('main').innerText();
  assert.doesNotMatch(shown, /영상|15초/);
  assert.match(shown, /통화연결음에 쓸 문구/);
  await context.close();
});
