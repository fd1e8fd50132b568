// Who looks, and at what: the fleet (#/) or one VM (#/vm/NAME).

import { call, forgetToken, hasToken, setToken } from '/ui/api.js';
import { attempt, complain, el, put } from '/ui/dom.js';
import { showFleet } from '/ui/fleet.js';
import { showVm } from '/ui/vm.js';

const main = document.getElementById('main');
const leave = document.getElementById('leave');
let shown = new AbortController();

function online(isOnline) {
  const link = document.getElementById('link');
  put(link, isOnline ? 'Connected' : 'Connection lost: trying again');
  link.classList.toggle('lost', !isOnline);
}

function showLogin() {
  leave.hidden = true;
  put(document.getElementById('asker'), '');
  put(document.getElementById('link'), '');
  document.title = 'Sign in · Vmm fleet';
  const token = el('input', { id: 'token', type: 'password', required: true, autocomplete: 'off', spellcheck: false });
  main.replaceChildren(el('form', {
    className: 'login',
    method: 'post',
    onsubmit: async event => {
      event.preventDefault();
      setToken(token.value.trim());
      if (await attempt(() => call('GET', '/v1/me')) === undefined) {
        forgetToken();
        token.focus();
      } else {
        show();
      }
    },
  },
  el('h1', {}, 'Sign in'),
  el('label', { for: 'token' }, 'Token'),
  token,
  el('p', { className: 'hint' }, 'A line of the file ', el('code', {}, 'tokens'), ' in the node\'s folder: role, name, token.'),
  el('button', { type: 'submit' }, 'Sign in')));
  token.focus();
}

async function show() {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  if (!hasToken()) {
    showLogin();
    return;
  }
  const asker = await call('GET', '/v1/me').catch(error => error);
  if (signal.aborted) {
    return;
  }
  if (asker.status === 401) {
    forgetToken();
    complain('The token is not valid any more');
    showLogin();
    return;
  }
  if (asker instanceof Error) {
    online(false);
    setTimeout(() => signal.aborted || show(), 1000);
    return;
  }
  leave.hidden = false;
  put(document.getElementById('asker'), `${asker.name} (${asker.role.toLowerCase()})`);
  complain('');
  const vm = /^#\/vm\/([a-z0-9-]+)$/.exec(location.hash)?.[1];
  const role = { mayOperate: asker.role !== 'Viewer', mayCreate: asker.role === 'Admin' };
  try {
    await (vm === undefined ? showFleet(main, role, online, signal) : showVm(main, vm, role, online, signal));
  } catch (error) {
    if (signal.aborted) {
      return;
    }
    if (error.status === 401) {
      show();
    } else {
      complain(error.message);
      main.replaceChildren(el('p', {}, el('a', { href: '#/' }, 'All VMs')));
    }
  }
}

leave.addEventListener('click', () => {
  forgetToken();
  location.hash = '#/';
  show();
});
addEventListener('hashchange', () => {
  if (location.hash.startsWith('#/')) {
    show();
    main.focus();
  }
});
show();
