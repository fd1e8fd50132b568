// The guest's serial line in a terminal.

import { call } from '/ui/api.js';
import { announce, complain, el } from '/ui/dom.js';

const Columns = 80;
const Rows = 24;

/**
 * The section of the console. The methods of the answer: write(bytes) and clear().
 * @param mayType whether keys go to the guest.
 */
export function makeConsole(vm, mayType, signal) {
  const place = el('div', { className: 'terminal', id: 'terminal' });
  const hint = el('p', { className: 'hint', id: 'console-hint' }, mayType ? 'Keys go to the guest; Ctrl+] leaves the console.' : 'You may read.');
  const aloud = el('input', { type: 'checkbox', id: 'aloud' });
  const section = el('section', { className: 'console', 'aria-labelledby': 'console-title' },
    el('h2', { id: 'console-title' }, 'Console'), place,
    el('div', { className: 'bar' }, hint, el('label', { className: 'check' }, aloud, ' For a screen reader')));

  // What comes before the terminal is there waits.
  let terminal;
  let early = [];
  const said = {
    section,
    write: bytes => terminal === undefined ? early.push(bytes) : terminal.write(bytes),
    clear: () => {
      early = [];
      terminal?.reset();
    },
  };

  let typed = '';
  let sends = false;
  async function send() {
    // One request at a time: keys keep their order.
    if (sends) {
      return;
    }
    sends = true;
    while (typed !== '') {
      const text = typed.slice(0, 4096);
      typed = typed.slice(4096);
      try {
        await call('POST', `/v1/vms/${vm}/console`, { text });
      } catch (error) {
        typed = '';
        complain(`Console: ${error.message}`);
      }
    }
    sends = false;
  }

  import('/ui/npm/xterm.mjs').then(({ Terminal }) => {
    if (signal.aborted) {
      return;
    }
    terminal = new Terminal({
      cols: Columns, rows: Rows, scrollback: 5000, disableStdin: !mayType, cursorBlink: false,
      fontFamily: 'ui-monospace, "DejaVu Sans Mono", monospace', fontSize: 14,
      theme: { background: '#101418', foreground: '#e8eaed' },
    });
    terminal.open(place);
    terminal.textarea.setAttribute('aria-describedby', hint.id);
    terminal.attachCustomKeyEventHandler(event => {
      if (event.ctrlKey && event.key === ']') {
        if (event.type === 'keydown') {
          terminal.blur();
          aloud.focus();
          announce('The console is left');
        }
        return false;
      }
      return true;
    });
    terminal.onData(data => {
      typed += data;
      send();
    });
    aloud.addEventListener('change', () => {
      terminal.options.screenReaderMode = aloud.checked;
    });

    // A serial line has no size that could follow the window: 80 columns fit by their font, which is never smaller than 6 pixels.
    const fit = () => {
      const size = Math.max(6, Math.min(14, Math.floor(place.clientWidth / Columns / 0.605)));
      if (terminal.options.fontSize !== size) {
        terminal.options.fontSize = size;
      }
    };
    const observer = new ResizeObserver(fit);
    observer.observe(place);
    signal.addEventListener('abort', () => {
      observer.disconnect();
      terminal.dispose();
    });
    early.forEach(bytes => terminal.write(bytes));
    early = [];
  }, async () => {
    const answer = await fetch('/ui/npm/xterm.mjs').then(response => response.json()).catch(() => ({ detail: 'the node does not answer' }));
    place.textContent = `There is no terminal: ${answer.detail}`;
  });
  return said;
}
