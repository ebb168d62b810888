// Shows openapi.json: no third-party code, no network.
import { el, show } from './ui.js';

const document_ = await (await fetch('/openapi.json')).json();
const cards = Object.entries(document_.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, o]) => {
    const reference = o.requestBody?.content['application/json'].schema.$ref?.split('/').pop();
    const schema = reference && document_.components.schemas[reference];
    return el(
      'div',
      { class: 'card' },
      el(
        'div',
        { class: 'mono' },
        el('strong', {}, method.toUpperCase()),
        ' ',
        path,
        ' ',
        o.security && el('span', { class: 'badge' }, 'OWNER'),
      ),
      el('div', {}, o.summary),
      schema &&
        el(
          'ul',
          { class: 'mono' },
          Object.entries(schema.properties ?? {}).map(([name, s]) =>
            el(
              'li',
              {},
              `${name}${schema.required?.includes(name) ? '' : '?'}: ${[s.type, s.format, s.description].flat().filter(Boolean).join(' ')}`,
            ),
          ),
        ),
      el(
        'div',
        { class: 'quiet' },
        Object.entries(o.responses)
          .map(([status, r]) => `${status} ${r.description}`)
          .join(' · '),
      ),
    );
  }),
);
show(/** @type {Element} */ (document.getElementById('main')), cards);
