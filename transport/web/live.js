// The live connection, for any front end: hello with a ticket, subscribe, resume, back off with jitter, report its
// state. No dependency. The protocol is GET /asyncapi.json.

/**
 * A place in a topic.
 * @typedef {{epoch: string, offset: number}} Position
 *
 * @typedef {object} Update
 * @property {string} topic
 * @property {string} kind what happened: `entries.counted`, `job.progress`, …
 * @property {any} data absolute values on state topics
 * @property {string} at when it became durable, RFC 3339
 * @property {Position} position
 *
 * @typedef {object} Listener
 * @property {(snapshot: any, position: Position) => void} [onSnapshot] the whole of what the topic shows
 * @property {(update: Update) => void} [onUpdate] what came after; on log topics every one, in order, once
 * @property {(code: string) => void} [onRefused] `topic-forbidden`, `too-many-topics`
 *
 * `connecting`, `open` and `waiting` (for the next try) follow each other; `closed` is the end: by `close()`, or
 * because there is no login any more.
 * @typedef {'connecting'|'open'|'waiting'|'closed'} LiveState
 *
 * @typedef {object} LiveOptions
 * @property {string} url address of the socket: `wss://host/ws`
 * @property {() => Promise<string|null>} [ticket] gives a fresh ticket of `POST /api/realtime/tickets` for every
 *   connection; null, or none given: public topics only. One that throws `Live.SIGNED_OUT` ends the connection for good
 * @property {(state: LiveState) => void} [onState]
 * @property {(time: number, sent: number) => void} [onTime] the server's time and when it was asked for, both in ms
 *   since 1970: for pages on a device whose clock is wrong
 * @property {number} [aliveMs] how long the server may be silent before it is asked whether it is there; default 20000
 * @property {number} [answerMs] how long it may take to answer that; default 8000
 * @property {number} [backoffMs] first pause between two tries, doubled each time up to 30 s; default 500
 */

const LONGEST_PAUSE_MS = 30_000;

export class Live {
  /** Thrown by a `ticket` function: there is no login any more. */
  static SIGNED_OUT = Symbol('signed out');

  /** @param {LiveOptions} options */
  constructor({ url, ticket, onState, onTime, aliveMs = 20_000, answerMs = 8_000, backoffMs = 500 }) {
    this.url = url;
    this.ticket = ticket ?? (async () => null);
    this.onState = onState ?? (() => {});
    this.onTime = onTime ?? (() => {});
    this.aliveMs = aliveMs;
    this.answerMs = answerMs;
    this.backoffMs = backoffMs;
    /** @type {LiveState} */
    this.state = 'waiting';
    /** @type {Map<string, {listener: Listener, position: Position|null, asked: number}>} */
    this.topics = new Map();
    /** @type {WebSocket|null} */
    this.socket = null;
    this.failures = 0;
    this.requests = 0;
    /** Counts the tries: a ticket that comes late belongs to none of them. */
    this.tries = 0;
    /** When the present socket said hello, in ms since 1970. */
    this.greeted = 0;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
    /** @type {number|null} */
    this.comeBackAfterMs = null;
    this.connect();
  }

  /**
   * Follows a topic, across lost connections, until the returned function is called.
   * @param {string} topic
   * @param {Listener} listener the one listener of this topic: a second takes the first one's place
   * @returns {() => void}
   */
  subscribe(topic, listener) {
    const entry = { listener, position: null, asked: 0 };
    this.topics.set(topic, entry);
    if (this.state === 'open') this.ask(topic);
    return () => {
      if (this.topics.get(topic) !== entry) return;
      this.topics.delete(topic);
      if (this.state === 'open') this.send({ type: 'unsubscribe', topic });
    };
  }

  /** Ends the connection for good. */
  close() {
    this.enter('closed');
    clearTimeout(this.timer);
    this.drop();
  }

  /** Tries at once, without waiting: the network is back, the page is looked at again. */
  wake() {
    if (this.state === 'waiting' || this.state === 'connecting') {
      this.connect();
    } else if (this.state === 'open') {
      this.probe();
    }
  }

  /** @param {LiveState} state */
  enter(state) {
    if (this.state === 'closed' || this.state === state) return;
    this.state = state;
    this.onState(state);
  }

  /** @param {object} message */
  send(message) {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(message));
  }

  /** @param {string} topic */
  ask(topic) {
    const entry = this.topics.get(topic);
    if (!entry) return;
    entry.asked = ++this.requests;
    this.send({ type: 'subscribe', id: entry.asked, topic, ...(entry.position ? { from: entry.position } : {}) });
  }

  async connect() {
    const mine = ++this.tries;
    this.drop();
    this.enter('connecting');
    this.expect(this.answerMs + 2_000);
    let ticket;
    try {
      ticket = await this.ticket();
    } catch (reason) {
      if (this.tries !== mine) return;
      return reason === Live.SIGNED_OUT ? this.close() : this.later();
    }
    if (this.tries !== mine || this.state !== 'connecting') return;
    let socket;
    try {
      socket = new WebSocket(this.url, 'madang.v1');
    } catch {
      // The browser lets none through.
      return this.later();
    }
    this.socket = socket;
    const ours = (/** @type {(event: any) => void} */ then) => (/** @type {any} */ event) => {
      if (this.socket === socket) then(event);
    };
    socket.onopen = ours(() => {
      this.greeted = Date.now();
      this.send(ticket ? { type: 'hello', ticket } : { type: 'hello' });
    });
    socket.onmessage = ours((event) => this.hear(JSON.parse(event.data)));
    socket.onclose = ours((event) => this.later(event.code));
    // A handshake that fails may end in nothing but this.
    socket.onerror = ours(() => this.later());
  }

  /** Forgets the present socket: nothing it still says counts. */
  drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  /** The server must say something within this time; then it is asked, and then it is given up. @param {number} ms */
  expect(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.later(), ms);
  }

  /** Anything was heard: all is well for a while. */
  alive() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.probe(), this.aliveMs);
  }

  probe() {
    this.send({ type: 'ping', id: ++this.requests });
    this.expect(this.answerMs);
  }

  /** @param {any} message */
  hear(message) {
    if (this.state === 'open') this.alive();
    const entry = this.topics.get(message.topic);
    switch (message.type) {
      case 'welcome':
        this.failures = 0;
        this.onTime(Date.parse(message.serverTime), this.greeted);
        this.enter('open');
        this.alive();
        for (const name of this.topics.keys()) this.ask(name);
        break;
      case 'subscribed':
        // An answer to an older question says nothing about this one.
        if (!entry || entry.asked !== message.id) break;
        entry.position = message.position;
        if (!message.recovered) entry.listener.onSnapshot?.(message.snapshot, message.position);
        break;
      case 'update':
        if (!entry?.position || message.position.offset <= entry.position.offset) break;
        entry.position = message.position;
        entry.listener.onUpdate?.(message);
        break;
      case 'gap':
        this.ask(message.topic);
        break;
      case 'error':
        if (!entry || entry.asked !== message.id) break;
        // It cannot be read just now: asked again, unless the connection is gone by then.
        if (message.code === 'unavailable')
          setTimeout(
            () => this.state === 'open' && entry.asked === message.id && this.ask(message.topic),
            1_000 + Math.random() * 2_000,
          );
        else entry.listener.onRefused?.(message.code);
        break;
      case 'goaway':
        this.comeBackAfterMs = message.reconnectAfterMs;
        break;
    }
  }

  /** Tries again after a while: half to all of a pause that doubles. @param {number} [code] of the close */
  later(code) {
    if (this.state === 'closed') return;
    clearTimeout(this.timer);
    this.drop();
    this.enter('waiting');
    // A client that is refused (protocol, too many sockets) must not come back quickly.
    if (code === 4400 || code === 4429) this.failures = Math.max(this.failures, 5);
    const pause = Math.min(LONGEST_PAUSE_MS, this.backoffMs * 2 ** this.failures++);
    const wait = this.comeBackAfterMs ?? pause * (0.5 + Math.random() / 2);
    this.comeBackAfterMs = null;
    this.timer = setTimeout(() => this.connect(), wait);
  }
}
