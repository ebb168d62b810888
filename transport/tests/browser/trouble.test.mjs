// What goes wrong: a lost connection, hostile text, a dead channel.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { DESKTOP, PHONE, browser, client, open, serve, shot, signedIn, simulator, tunnel, until } from './madang.mjs';

const HOSTILE = '<img src=x onerror=alert(1)>';
let chrome;
before(async () => {
  chrome = await browser();
});
after(() => chrome?.close());

test('after a tunnel the numbers are exact', async (t) => {
  const wire = await tunnel();
  const server = await serve({ MADANG_ALLOWED_ORIGINS: wire.base });
  t.after(() => Promise.all([wire.close(), server.stop()]));
  wire.to(server.base);
  const api = client(server.base);
  const tokens = await api.signup();
  const event = await api.live();
  const { context, page, trouble } = await open(chrome, DESKTOP);
  await signedIn(page, wire.base, tokens);
  await page.goto(`${wire.base}/#event/${event.id}`);
  const count = page.locator('.cards .figure').first();
  await until('the dashboard', async () => (await count.textContent().catch(() => '')) === '0');
  let entered = 0;
  for (let round = 0; round < 4; round++) {
    for (let n = 0; n < 7; n++) await api.enter(event.slug, entered++);
    wire.cut();
    await page.locator('#live.waiting, #live.connecting').waitFor();
    if (round === 0) await shot(page, 'tunnel');
    for (let n = 0; n < 11; n++) await api.enter(event.slug, entered++);
    wire.mend();
    await page.evaluate(() => dispatchEvent(new Event('online')));
    await page.locator('#live.open').waitFor();
    await until(`${entered} entries`, async () => (await count.textContent()) === String(entered));
  }
  const { cards } = await api.call('GET', `/api/events/${event.id}/analytics`);
  assert.equal(cards.participants, entered);
  assert.deepEqual(trouble, []);
  await context.close();
});

/** A model that answers with hostile text: the simulator's answers, their words replaced. */
async function hostileModel(upstream) {
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const headers = { ...request.headers };
    for (const name of ['host', 'connection', 'content-length', 'accept-encoding', 'transfer-encoding']) delete headers[name];
    const answer = await fetch(upstream + request.url, { method: request.method, headers, body: Buffer.concat(parts) });
    const body = await answer.json();
    const proposal = JSON.parse(body.content[0].text);
    for (const option of proposal.options) {
      Object.assign(option, { title: `${HOSTILE} ${option.tier}`, summary: `<script>alert(2)</script> ${option.summary}`, mechanics: `<svg onload=alert(3)> ${option.mechanics}` });
      option.prizes[0].name = '<b onmouseover=alert(4)>빵</b>';
    }
    body.content[0].text = JSON.stringify(proposal);
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await new Promise((ready) => server.once('listening', ready));
  return { base: `http://127.0.0.1:${server.address().port}`, close: () => new Promise((closed) => server.close(closed)) };
}

test('an edited picture survives coming back, and what changed elsewhere is read again', async (t) => {
  const server = await serve();
  t.after(() => server.stop());
  const api = client(server.base);
  const tokens = await api.signup();
  const { context, page, trouble } = await open(chrome, PHONE);
  await signedIn(page, server.base, tokens);
  const event = await api.call('POST', '/api/events', { objective: 'SALES' });
  await page.goto(`${server.base}/#event/${event.id}`);
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(2).click();
  await page.getByLabel('매장 방문 코드를 입력하면').selectOption('0');
  await page.getByRole('button', { name: '다음' }).click();
  await until('nine pictures', async () => (await page.locator('.tile').count()) === 9, 60_000);
  assert.equal((await api.call('GET', `/api/events/${event.id}`)).visitBonus, null, 'no bonus was chosen');
  await page.getByRole('button', { name: '글과 색 바꾸기' }).first().click();
  await page.getByLabel('제목').fill('바뀐 제목');
  await page.getByText('저장됨').waitFor();
  await page.reload();
  await until('nine pictures again', async () => (await page.locator('.tile').count()) === 9);
  assert.equal(await page.locator('img[alt^="바뀐 제목"]').count(), 1);
  const { items } = await api.call('GET', `/api/events/${event.id}/images`);
  assert.equal(items.length, 9, 'nothing was drawn twice');
  // An end that was moved elsewhere is shown, and commands are made on that version.
  const live = await api.live(['NAVER']);
  await page.goto(`${server.base}/#event/${live.id}`);
  const period = page.locator('#main p', { has: page.locator('.badge.live') }).first();
  await period.waitFor();
  const before = await period.innerText();
  await api.call('PATCH', `/api/events/${live.id}`, { endsAt: new Date(Date.parse(live.endsAt) + 86_400_000).toISOString() });
  await until('the new end', async () => (await period.innerText().catch(() => before)) !== before);
  await page.getByRole('button', { name: '잠시 멈추기' }).click();
  await page.getByRole('button', { name: '다시 시작' }).waitFor();
  // Going back closes what asks: a dialog belongs to its page.
  await page.getByRole('button', { name: '지금 마감하기' }).click();
  await page.getByRole('dialog').waitFor();
  await page.goBack();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal((await api.call('GET', `/api/events/${live.id}`)).status, 'paused');
  assert.deepEqual(trouble, []);
  await context.close();
});

test('what was typed outlives its page, until it is sent', async (t) => {
  const server = await serve();
  t.after(() => server.stop());
  const api = client(server.base);
  const { context, page, trouble } = await open(chrome, PHONE);
  await page.goto(`${server.base}/#signup`);
  await page.getByLabel('이메일').fill('owner@test.example');
  await page.getByLabel('비밀번호').fill('correct horse');
  await page.getByLabel('업종').selectOption('BAKERY');
  await page.getByLabel('매장 이름').fill('골목빵집');
  await page.reload();
  await page.getByLabel('매장 이름').waitFor();
  const shown = (label) => page.getByLabel(label, { exact: true }).inputValue();
  assert.deepEqual([await shown('이메일'), await shown('업종'), await shown('매장 이름'), await shown('비밀번호')], ['owner@test.example', 'BAKERY', '골목빵집', '']);
  await signedIn(page, server.base, await api.signup());
  const event = await api.call('POST', '/api/events', { objective: 'SALES' });
  await page.goto(`${server.base}/#event/${event.id}`);
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(1).click();
  await page.getByLabel('이벤트 이름').fill('단골 감사제');
  await page.getByRole('button', { name: '경품 추가' }).click();
  await page.getByLabel('경품', { exact: true }).last().fill('호두파이');
  const prizes = await page.locator('.prize').count();
  await page.reload();
  await page.getByLabel('이벤트 이름').waitFor();
  assert.equal(await page.locator('.option.chosen').count(), 1, 'its proposal is the chosen one');
  assert.deepEqual([await shown('이벤트 이름'), await page.locator('.prize').count()], ['단골 감사제', prizes]);
  await shot(page, 'typed');
  await page.getByRole('button', { name: '다음' }).click();
  await page.locator('.pictures').waitFor();
  const planned = await api.call('GET', `/api/events/${event.id}`);
  assert.deepEqual([planned.title, planned.prizes.length, planned.prizes.at(-1).name], ['단골 감사제', prizes, '호두파이']);
  assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage).filter((key) => key.startsWith('typed plan'))), []);
  await page.getByRole('button', { name: '로그아웃' }).click();
  await page.getByRole('heading', { name: '로그인' }).waitFor();
  assert.deepEqual(await page.evaluate(() => Object.keys(sessionStorage)), [], 'the next one at this device finds nothing');
  assert.deepEqual(trouble, []);
  await context.close();
});

test('without a WebSocket an event is made all the same', async (t) => {
  const server = await serve();
  t.after(() => server.stop());
  const api = client(server.base);
  const tokens = await api.signup();
  const { context, page } = await open(chrome, PHONE);
  await page.routeWebSocket(/\/ws$/, (socket) => socket.close({ code: 1011 }));
  await signedIn(page, server.base, tokens);
  const event = await api.call('POST', '/api/events', { objective: 'SALES' });
  await page.goto(`${server.base}/#event/${event.id}`);
  await page.getByRole('button', { name: '이 제안으로 하기' }).first().waitFor();
  const live = await api.live(['NAVER']);
  await api.enter(live.slug, 1);
  await page.goto(`${server.base}/#event/${live.id}`);
  await until('the figures', async () => (await page.locator('.cards .figure').first().textContent().catch(() => '')) === '1');
  // What is behind, because it does not even hear the figures, reads again instead of refusing for ever.
  await page.route('**/analytics', (route) => route.abort());
  await api.call('PATCH', `/api/events/${live.id}`, { endsAt: new Date(Date.parse(live.endsAt) + 86_400_000).toISOString() });
  await page.getByRole('button', { name: '잠시 멈추기' }).click();
  await page.locator('.toast').waitFor();
  await page.getByRole('button', { name: '잠시 멈추기' }).click();
  await page.getByRole('button', { name: '다시 시작' }).waitFor();
  await context.close();
});

test('hostile text is text, whoever wrote it', async (t) => {
  const simulated = await simulator();
  const model = await hostileModel(`${simulated.base}/claude`);
  const server = await serve({ MADANG_CLAUDE_URL: model.base, MADANG_CLAUDE_MODE: 'SANDBOX' });
  t.after(() => Promise.all([server.stop(), model.close(), simulated.stop()]));
  const api = client(server.base);
  const tokens = await api.signup(`<i onclick=alert(5)>빵집</i>`);
  const { context, page, trouble } = await open(chrome, PHONE);
  page.on('dialog', (dialog) => {
    trouble.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  const inert = async (where) => {
    await until(`hostile text shown on ${where}`, async () => (await page.locator('body').innerText()).includes('<'));
    assert.equal(await page.locator('img[src=x], [onerror], [onload], [onclick], [onmouseover], script:not([src])').count(), 0, where);
  };
  await signedIn(page, server.base, tokens);
  const event = await api.call('POST', '/api/events', { objective: 'SALES' });
  await page.goto(`${server.base}/#event/${event.id}`);
  await page.getByText(HOSTILE).first().waitFor();
  await inert('proposals');
  await shot(page, 'hostile-proposals');
  const live = await api.live(['NAVER', 'KAKAO'], {}, event);
  assert.ok(live.title.startsWith(HOSTILE));
  await api.enter(live.slug, 1, '<svg/onload=alert(6)>');
  for (const at of [`#event/${live.id}`, `#people/${live.id}`, '#', '#shop']) {
    await page.goto(`${server.base}/${at}`);
    await inert(at);
  }
  await page.goto(`${server.base}/e/${live.slug}?c=${encodeURIComponent(HOSTILE)}`);
  await page.getByText(HOSTILE).first().waitFor();
  await inert('the customer page');
  await shot(page, 'hostile-customer');
  assert.deepEqual(trouble, []);
  await context.close();
});

async function customerOfALiveEvent(t) {
  const server = await serve();
  t.after(() => server.stop());
  const api = client(server.base);
  await api.signup();
  return { server, api, live: await api.live(['NAVER']), ...(await open(chrome, PHONE)) };
}

test('a customer who finds no room is entered as soon as there is', async (t) => {
  const { server, live, context, page, trouble } = await customerOfALiveEvent(t);
  const keys = [];
  await page.route(/\/entries$/, async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    const full = { status: 503, headers: { 'retry-after': '1', 'content-type': 'application/problem+json' }, body: JSON.stringify({ code: 'overloaded', status: 503, title: '붐빔', detail: '지금 요청이 몰려 처리하지 못했어요. 곧 다시 시도해 주세요.' }) };
    if (keys.length === 1) return route.fulfill(full);
    const answer = await route.fetch();
    // The second time it was stored, and the answer says that nobody knows.
    return keys.length === 2 ? route.fulfill({ ...full, body: JSON.stringify({ code: 'outcome-unknown', status: 503, title: '?' }) }) : route.fulfill({ response: answer });
  });
  await page.goto(`${server.base}/e/${live.slug}`);
  await page.getByLabel('이름').fill('김손님');
  await page.getByLabel('휴대전화번호').fill('010-2345-6789');
  await page.getByLabel(/필수/).check();
  await page.getByRole('button', { name: '응모하기' }).click();
  await page.getByText('자리가 나는 대로').waitFor();
  await shot(page, 'no-room');
  await page.getByText('1번으로 응모됐어요').waitFor();
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1, 'one entry, whatever the tries');
  assert.equal(await page.getByText('자리가 나는 대로').count(), 0);
  assert.deepEqual(trouble, []);
  await context.close();
});

test('whatever the link says, everybody at a phone may enter', async (t) => {
  const { server, api, live, context, page, trouble } = await customerOfALiveEvent(t);
  await page.goto(`${server.base}/e/${live.slug}?c=FACEBOOK%20`);
  for (const n of [1, 2]) {
    await page.getByLabel('이름').fill('김손님');
    await page.getByLabel('휴대전화번호').fill(`010-2345-000${n}`);
    await page.getByLabel(/필수/).check();
    await page.getByRole('button', { name: '응모하기', exact: true }).click();
    await page.getByText(`${n}번으로 응모됐어요`).waitFor();
    await page.getByRole('button', { name: '다른 사람 응모하기' }).click();
    await shot(page, 'somebody-else');
    await page.getByRole('dialog').getByRole('button', { name: '다른 사람 응모하기' }).click();
  }
  await page.getByLabel('이름').waitFor();
  const { channels } = await api.call('GET', `/api/events/${live.id}/analytics`);
  assert.equal(channels.find((c) => c.channel === 'DIRECT').entries, 2);
  assert.deepEqual(trouble, []);
  await context.close();
});

test('a dead channel is explained, and only it is tried again', async (t) => {
  const server = await serve();
  t.after(() => server.stop());
  const admin = (path, body) => fetch(server.adminUrl + path, { method: 'POST', headers: { authorization: `Bearer ${server.adminToken()}`, 'content-type': 'application/json' }, body: JSON.stringify(body) }).then((r) => assert.ok(r.ok, path));
  const api = client(server.base);
  const tokens = await api.signup();
  const { context, page, trouble } = await open(chrome, PHONE);
  await signedIn(page, server.base, tokens);
  await admin('/admin/simulator/faults', { upstream: 'WOORI_TV', fault: 'down' });
  const event = await api.live(['WOORI_TV', 'NAVER']);
  await page.goto(`${server.base}/#event/${event.id}`);
  const dead = page.locator('li.channel', { hasText: '우리동네TV' }), well = page.locator('li.channel', { hasText: '네이버' });
  await dead.locator('.bad').waitFor();
  assert.match(await dead.locator('.bad').textContent(), /[가-힣]{2}/, 'in Korean');
  await well.getByText('게시됨', { exact: true }).waitFor();
  await page.locator('.bell .count').waitFor();
  await shot(page, 'dead-channel');
  await page.getByRole('link', { name: /읽지 않은 알림/ }).click();
  await page.getByText(/우리동네TV/).first().waitFor();
  await shot(page, 'notices');
  await page.getByRole('button', { name: '읽음' }).first().click();
  await page.goBack();
  await fetch(`${server.adminUrl}/admin/simulator`, { method: 'DELETE', headers: { authorization: `Bearer ${server.adminToken()}` } }).then((r) => assert.ok(r.ok));
  await page.getByRole('button', { name: '실패한 채널만 다시 시도' }).click();
  await dead.getByText('게시됨', { exact: true }).waitFor({ timeout: 90_000 });
  assert.equal(await page.getByRole('button', { name: '실패한 채널만 다시 시도' }).count(), 0);
  assert.deepEqual(trouble, []);
  await context.close();
});
