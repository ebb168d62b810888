// What the tests share: the real binary on a folder of its own, a browser, screenshots, and a wire that can be cut.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { after, before } from 'node:test';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../../..');
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
/** The binary under test, the browser, and where screenshots go: all may be set. */
const binary = process.env.MADANG_BIN ?? join(target, 'debug/madang');
// The server knows its settings by name, and this is none.
delete process.env.MADANG_BIN;
const browserPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const shots = process.env.SCREENSHOTS ?? join(target, 'screenshots');

export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
export const DESKTOP = { viewport: { width: 1280, height: 900 } };

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((ready) => server.once('listening', ready));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** A server and a browser for all tests of a file. */
export function shared() {
  const all = {};
  before(async () => {
    all.server = await serve();
    all.chrome = await browser();
  });
  after(async () => {
    await all.chrome?.close();
    await all.server?.stop();
  });
  return all;
}

/** Starts a server; `stop` ends it and removes its folder. */
export async function serve(settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'madang-browser-'));
  const [port, admin] = [await freePort(), await freePort()];
  const base = `http://127.0.0.1:${port}`;
  const env = { ...process.env, MADANG_DATA_DIR: folder, MADANG_LISTEN: `127.0.0.1:${port}`, MADANG_ADMIN_LISTEN: `127.0.0.1:${admin}`, MADANG_LOG: 'warn', MADANG_LIMIT_REQUESTS_PER_MINUTE: '1000', ...settings };
  // One cache for all servers, instead of one in each folder.
  env.XDG_CACHE_HOME ??= join(homedir(), '.cache');
  delete env.DATABASE_URL;
  delete env.REDIS_URL;
  const child = spawn(binary, ['serve'], { env, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (let tries = 0; ; tries++) {
    if (await fetch(`${base}/readyz`).then((r) => r.ok, () => false)) break;
    if (tries > 300) throw new Error('the server does not start');
    await new Promise((wait) => setTimeout(wait, 100));
  }
  return {
    base,
    folder,
    adminUrl: `http://127.0.0.1:${admin}`,
    adminToken: () => JSON.parse(readFileSync(join(folder, 'keys.json'), 'utf8')).adminToken,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A simulator of the upstreams in a process of its own. */
export async function simulator() {
  const folder = mkdtempSync(join(tmpdir(), 'madang-simulator-')), port = await freePort();
  const child = spawn(binary, ['simulator', '--port', String(port), '--latency', '0', '--data', folder], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const base = `http://127.0.0.1:${port}`;
  await until('the simulator', () => fetch(`${base}/_control/state`).then((r) => r.ok, () => false));
  return {
    base,
    async stop() {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A browser. Its background services are off: they would look for a network. */
export const browser = () => chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });

/** A page of which every error and every violation of the content policy is kept: a test looks at them in the end. */
export async function open(chrome, options) {
  const context = await chrome.newContext({ locale: 'ko-KR', timezoneId: 'Asia/Seoul', ...options });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']).catch(() => {});
  const page = await context.newPage();
  const trouble = [];
  page.on('pageerror', (error) => trouble.push(String(error)));
  page.on('console', (message) => /Content Security Policy|Refused to/.test(message.text()) && trouble.push(message.text()));
  return { context, page, trouble };
}

/** Signs a page in, as if its owner had. */
export async function signedIn(page, base, tokens) {
  await page.goto(base);
  await page.evaluate((t) => localStorage.setItem('madang', JSON.stringify({ accessToken: t.accessToken, refreshToken: t.refreshToken })), tokens);
  await page.reload();
}

/** Pictures that the README shows, by the name of their screenshot. */
const README_PICTURES = new Map([['desktop-dashboard', 'console.jpg'], ['phone-customer', 'customer.jpg']]);

let count = 0;
/** Keeps a picture of the whole page: build output, to be looked at. With README_PICTURES set, also what the README shows. */
export async function shot(page, name) {
  mkdirSync(shots, { recursive: true });
  const picture = README_PICTURES.get(name);
  if (process.env.README_PICTURES && picture) {
    await page.screenshot({ path: join(process.env.README_PICTURES, picture), type: 'jpeg', quality: 60, scale: 'css' });
  }
  await page.screenshot({ path: join(shots, `${String(++count).padStart(2, '0')}-${name}.png`), fullPage: true });
}

/** A business number nobody else of this run has. */
export function businessNumber() {
  const weights = [1, 3, 7, 1, 3, 7, 1, 3, 5];
  for (;;) {
    const digits = Array.from({ length: 9 }, (_, i) => Math.floor(Math.random() * (i ? 10 : 8)) + (i ? 0 : 1));
    const sum = digits.reduce((all, d, i) => all + d * weights[i], 0) + Math.floor((digits[8] * 5) / 10);
    const number = [...digits, (10 - (sum % 10)) % 10].join('');
    // The simulated tax service plays special cases with some numbers of 000 in the middle and at the ends.
    if (!/000/.test(number) && !/^(999|111)/.test(number)) return number;
  }
}

/** The API without a browser. */
export function client(base) {
  let token;
  const call = async (method, path, body, headers = {}) => {
    const response = await fetch(base + path, { method, headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers }, body: body && JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  };
  return {
    call,
    use(access) {
      token = access;
    },
    async signup(shop = '골목빵집') {
      const made = await call('POST', '/api/users/signup', { email: `${crypto.randomUUID()}@test.example`, password: 'correct horse', name: '홍길동', phone: '010-1234-5678', businessNumber: businessNumber(), openedOn: '2020-01-02', store: { name: shop, industry: 'BAKERY', region: '서울 마포구' } });
      token = made.accessToken;
      return made;
    },
    async job(id) {
      for (;;) {
        const job = await call('GET', `/api/jobs/${id}`, undefined, { prefer: 'wait=25' });
        if (!['queued', 'running'].includes(job.status)) return job.result;
      }
    },
    /** A live event, the short way. */
    async live(channels = ['NAVER'], plan = {}, draft = null) {
      const event = draft ?? await call('POST', '/api/events', { objective: 'SALES' });
      const asked = await call('POST', '/api/ai/recommendations', { eventId: event.id });
      const { options } = asked.jobId ? await this.job(asked.jobId) : asked;
      await call('PUT', `/api/events/${event.id}/plan`, { optionId: options[0].id, ...plan });
      const drawn = await call('POST', '/api/content/images', { eventId: event.id, styles: ['SIMPLE'], platforms: ['NAVER'] });
      const { images } = drawn.jobId ? await this.job(drawn.jobId) : drawn;
      await call('PUT', `/api/events/${event.id}/content`, { imageIds: [images[0].id] });
      await call('PUT', `/api/events/${event.id}/channels`, { channels });
      return (await call('POST', `/api/events/${event.id}/approve?wait=60`)).event;
    },
    enter: (slug, n, name = '김손님') => call('POST', `/api/participation/events/${slug}/entries`, { name, phone: `010${String(n).padStart(8, '0')}`, consents: { privacy: true } }),
  };
}

/** A wire to the server that can be cut: what is on its way is lost, and nothing new goes through until it is mended. */
export async function tunnel() {
  let port = 0;
  const wires = new Set();
  let whole = true, swallows = false;
  const server = createServer((near) => {
    if (!whole) return near.destroy();
    const far = connect(port, '127.0.0.1');
    wires.add(near).add(far);
    near.on('data', (data) => swallows || far.write(data));
    far.on('data', (data) => swallows || near.write(data));
    for (const [one, other] of [[near, far], [far, near]]) {
      one.on('error', () => {});
      one.on('close', () => {
        other.destroy();
        wires.delete(one);
      });
    }
  }).listen(0, '127.0.0.1');
  await new Promise((ready) => server.once('listening', ready));
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    to(base) {
      port = Number(new URL(base).port);
    },
    cut() {
      whole = false;
      for (const wire of wires) wire.destroy();
    },
    mend() {
      whole = true;
    },
    /** Whether what is sent is lost, while the connection looks well. */
    swallow(yes) {
      swallows = yes;
    },
    /** Cuts what is open, and lets new connections through. */
    snap() {
      for (const wire of wires) wire.destroy();
    },
    async close() {
      this.snap();
      await new Promise((closed) => server.close(closed));
    },
  };
}

/** Waits until something holds. */
export async function until(what, holds, limit = 20_000) {
  for (const began = Date.now(); ; ) {
    if (await holds()) return;
    if (Date.now() - began > limit) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((wait) => setTimeout(wait, 50));
  }
}
