// The live connection, for any front end: hello with a ticket, subscribe, resume, back off with jitter.

/**
 * @typedef {{epoch: string, offset: number}} Position
 * @typedef {{onSnapshot: (snapshot: any) => void, onUpdate: (update: {kind: string, data: any, at: string, position: Position}) => void, onRefused?: (code: string) => void}} Listener
 */
export class Live {
  /**
   * @param {() => Promise<string|null>} ticket gives a fresh ticket, or null for public topics only
   * @param {(state: 'connecting'|'open'|'waiting') => void} onState
   */
  constructor(ticket, onState = () => {}) {
    this.ticket = ticket;
    this.onState = onState;
    /** @type {Map<string, {listener: Listener, position: Position|null}>} */
    this.topics = new Map();
    this.failures = 0;
    this.closed = false;
    this.connect();
  }

  /** @param {string} topic @param {Listener} listener @returns {() => void} leaves the topic */
  subscribe(topic, listener) {
    this.topics.set(topic, { listener, position: null });
    if (this.ready) this.ask(topic);
    return () => {
      this.topics.delete(topic);
      if (this.ready) this.send({ type: 'unsubscribe', topic });
    };
  }

  close() {
    this.closed = true;
    this.socket?.close();
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  ask(topic) {
    const { position } = this.topics.get(topic);
    this.send({ type: 'subscribe', id: topic, topic, ...(position ? { from: position } : {}) });
  }

  async connect() {
    if (this.closed) return;
    this.onState('connecting');
    this.ready = false;
    let ticket;
    try {
      ticket = await this.ticket();
    } catch {
      return this.later();
    }
    const address = new URL('/ws', location.href);
    address.protocol = address.protocol.replace('http', 'ws');
    const socket = new WebSocket(address, 'madang.v1');
    this.socket = socket;
    socket.onopen = () => this.send(ticket ? { type: 'hello', ticket } : { type: 'hello' });
    socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (this.socket === socket && event.code !== 4401) this.later();
    };
  }

  hear(message) {
    const topic = this.topics.get(message.topic);
    switch (message.type) {
      case 'welcome':
        this.failures = 0;
        this.ready = true;
        this.onState('open');
        for (const name of this.topics.keys()) this.ask(name);
        break;
      case 'subscribed':
        if (!topic) break;
        topic.position = message.position;
        if (!message.recovered) topic.listener.onSnapshot(message.snapshot);
        break;
      case 'update':
        if (!topic || (topic.position && message.position.offset <= topic.position.offset)) break;
        topic.position = message.position;
        topic.listener.onUpdate(message);
        break;
      case 'gap':
        if (topic) this.ask(message.topic);
        break;
      case 'error':
        this.topics.get(message.id)?.listener.onRefused?.(message.code);
        break;
      case 'goaway':
        this.reconnectAfter = message.reconnectAfterMs;
        break;
    }
  }

  later() {
    if (this.closed) return;
    this.ready = false;
    this.onState('waiting');
    const full = Math.min(30_000, 500 * 2 ** this.failures++);
    const wait = this.reconnectAfter ?? full * (0.5 + Math.random() / 2);
    this.reconnectAfter = undefined;
    setTimeout(() => this.connect(), wait);
  }
}
