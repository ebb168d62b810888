// For everybody: without a mouse, with a screen reader's rules, in light and dark, and with little to load.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { DESKTOP, PHONE, businessNumber, client, open, shared, shot, until } from './madang.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** Bytes of a first view, over the wire. */
const MOST = 60 * 1024;

const all = shared();

/** Presses Tab until something has the focus, as one does without a mouse. */
async function reach(page, what, holds) {
  for (let presses = 0; presses < 150; presses++) {
    if (await page.evaluate(holds, what)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`Tab never reaches ${what}`);
}
const named = (page, name) => reach(page, name, (n) => document.activeElement !== document.body && (document.activeElement?.textContent ?? '').includes(n) && document.activeElement?.matches('a, button, summary'));
const fieldOf = (page, name) => reach(page, name, (n) => document.activeElement?.matches('input, select') && document.activeElement.getAttribute('name') === n);

test('an event is made and approved without a mouse', async () => {
  const { context, page, trouble } = await open(all.chrome, DESKTOP);
  const keys = page.keyboard;
  await page.goto(all.server.base);
  await page.getByRole('heading', { name: '로그인' }).waitFor();
  await named(page, '처음이신가요');
  await keys.press('Enter');
  await page.getByRole('heading', { name: '가입하기' }).waitFor();
  for (const [name, value] of Object.entries({ email: `${crypto.randomUUID()}@test.example`, password: 'correct horse', name: '김주인', phone: '01022223333', businessNumber: businessNumber(), openedOn: '01022020', 'store.name': '골목빵집' })) {
    await fieldOf(page, name);
    await keys.type(value);
  }
  await fieldOf(page, 'store.region');
  await keys.insertText('서울 마포구');
  await keys.press('Enter');
  await page.getByText('아직 이벤트가 없어요').waitFor();
  await named(page, '재방문 유도');
  await keys.press('Enter');
  await page.getByRole('button', { name: '이 제안으로 하기' }).nth(2).waitFor();
  await named(page, '이 제안으로 하기');
  await keys.press('Space');
  await named(page, '다음');
  await keys.press('Enter');
  await until('nine pictures', async () => (await page.locator('.tile').count()) === 9, 60_000);
  await until('the job is shown done', async () => !(await page.locator('progress').count()));
  await reach(page, 'a picture', () => document.activeElement?.matches('.tile input'));
  await keys.press('Space');
  await named(page, '다음');
  await keys.press('Enter');
  await until('six preflights', async () => (await page.locator('.standing:not(:empty)').count()) === 6);
  await named(page, '다음');
  await keys.press('Enter');
  await page.getByText('이대로 진행할까요?').waitFor();
  await named(page, '승인하고 게시하기');
  await keys.press('Enter');
  await page.getByRole('dialog').waitFor();
  // Escape is a no: nothing happened.
  await keys.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await named(page, '승인하고 게시하기');
  await keys.press('Enter');
  await page.getByRole('dialog').waitFor();
  await named(page, '승인하고 게시하기');
  await keys.press('Enter');
  await page.getByRole('button', { name: '지금 마감하기' }).waitFor();
  assert.deepEqual(trouble, []);
  await context.close();
});

test('no serious finding of axe on any page, in light and dark', async () => {
  const api = client(all.server.base);
  const tokens = await api.signup();
  const draft = await api.call('POST', '/api/events', { objective: 'SALES' });
  const live = await api.live(['NAVER', 'KAKAO']);
  const closed = await api.live(['NAVER']);
  for (let n = 0; n < 12; n++) await Promise.all([api.enter(live.slug, n), api.enter(closed.slug, n)]);
  await api.call('POST', `/api/events/${closed.id}/close`);
  await until('the root', async () => (await api.call('GET', `/api/participation/events/${closed.slug}`)).draw.root);
  await api.call('POST', `/api/events/${closed.id}/draws`, { alternates: 2, external: 'ab'.repeat(32) });
  const inside = ['#', `#event/${draft.id}`, `#event/${live.id}`, `#people/${live.id}`, `#draw/${closed.id}`, '#notices', '#shop'];
  const outside = ['#login', '#signup', `e/${live.slug}`, `e/${closed.slug}`, 'docs'];
  for (const colorScheme of ['light', 'dark']) {
    const { context, page, trouble } = await open(all.chrome, { ...PHONE, colorScheme, reducedMotion: 'reduce' });
    const check = async (at) => {
      await page.goto('about:blank');
      await page.goto(`${all.server.base}/${at}`);
      await page.locator('main h1, main h2, main .card').first().waitFor();
      await until('nothing is loading', async () => !(await page.getByText('불러오는 중…').count()) && !(await page.locator('progress').count()));
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => axe.run());
      const serious = violations.filter((v) => ['serious', 'critical'].includes(v.impact));
      assert.deepEqual(serious.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join('; ')}`), [], `${at} in ${colorScheme}`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `${at} scrolls sideways on a phone`);
      if (colorScheme === 'dark') await shot(page, `dark-${at.replace(/\W+/g, '-').slice(0, 12)}`);
    };
    for (const at of outside) await check(at);
    await page.goto(all.server.base);
    await page.evaluate((t) => localStorage.setItem('madang', JSON.stringify({ accessToken: t.accessToken, refreshToken: t.refreshToken })), tokens);
    for (const at of inside) await check(at);
    assert.deepEqual(trouble, []);
    await context.close();
  }
});

test('a first view is small and soon there', async () => {
  const api = client(all.server.base);
  const tokens = await api.signup();
  const event = await api.live(['NAVER']);
  for (const [view, path, ready] of [['sign in', '/', '로그인'], ['my events', '/', '내 이벤트'], ['customer', `/e/${event.slug}`, '응모하기']]) {
    const { context, page } = await open(all.chrome, { ...PHONE, serviceWorkers: 'block' });
    if (view === 'my events') await context.addInitScript((t) => localStorage.setItem('madang', JSON.stringify({ accessToken: t.accessToken, refreshToken: t.refreshToken })), tokens);
    const wire = await context.newCDPSession(page);
    let bytes = 0;
    await wire.send('Network.enable');
    // A phone on 4G in a bad place (1.6 Mbit/s, 150 ms), with a quarter of this processor.
    await wire.send('Network.emulateNetworkConditions', { offline: false, latency: 150, downloadThroughput: 200_000, uploadThroughput: 94_000 });
    await wire.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    wire.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
    const began = Date.now();
    await page.goto(`${all.server.base}${path}`);
    await page.getByText(ready).first().waitFor();
    const took = Date.now() - began;
    await page.waitForLoadState('networkidle');
    console.log(`# ${view}: ${(bytes / 1024).toFixed(1)} KB, interactive after ${took} ms on a throttled phone`);
    assert.ok(bytes <= MOST, `${view}: ${bytes} bytes`);
    await context.close();
  }
});

test('the console is an app: it can be installed, and its shell opens without a network', async () => {
  const { context, page } = await open(all.chrome, PHONE);
  await page.goto(all.server.base);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await page.getByRole('heading', { name: '로그인' }).waitFor();
  const wire = await context.newCDPSession(page);
  const { installabilityErrors } = await wire.send('Page.getInstallabilityErrors');
  assert.deepEqual(installabilityErrors.filter((e) => e.errorId !== 'in-incognito'), []);
  await context.setOffline(true);
  await page.reload();
  await page.getByRole('heading', { name: '로그인' }).waitFor();
  await page.getByLabel('이메일').fill('a@b.kr');
  await page.getByLabel('비밀번호').fill('12345678');
  await page.getByRole('button', { name: '로그인' }).click();
  await page.getByText('서버에 닿지 않아요').first().waitFor();
  await context.close();
});
