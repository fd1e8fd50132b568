// The fleet: nodes and VMs.

import { call, follow } from '/ui/api.js';
import { ask, askForVm } from '/ui/dialogs.js';
import { attempt, el, mebibytes, put } from '/ui/dom.js';

// Each change at the node that serves the page comes as an event; those of other nodes are looked for so often. Milliseconds.
const Look = 3000;

export async function showFleet(main, role, online, signal) {
  document.title = 'Vmm fleet';
  const vms = el('tbody');
  const nodes = el('tbody');
  const none = el('p', { hidden: true }, 'There is no VM yet.');
  const create = el('button', { type: 'button', id: 'create', hidden: !role.mayCreate, onclick: () => askForVm(known) }, 'Create a VM');
  let known = [];
  main.replaceChildren(
    el('div', { className: 'bar' }, el('h1', {}, 'VMs'), create),
    table(['VM', 'State', 'CPUs', 'Memory', 'Node', 'Owner'], vms, 'VMs'),
    none,
    el('h2', {}, 'Nodes'),
    table(['Node', 'VMs', 'Cores', 'Memory', 'Labels', 'Takes VMs', ...(role.mayCreate ? ['Change'] : [])], nodes, 'Nodes'));

  let timer;
  const change = () => {
    clearTimeout(timer);
    timer = setTimeout(look, 50);
  };
  async function look() {
    clearTimeout(timer);
    try {
      const [records, members] = await Promise.all([call('GET', '/v1/vms'), call('GET', '/v1/nodes')]);
      if (signal.aborted) {
        return;
      }
      known = members;
      none.hidden = records.length > 0;
      fill(vms, records, record => record.vm, vmCells);
      fill(nodes, members, node => node.node, node => [...nodeCells(node), ...(role.mayCreate ? [changeOf(node, change)] : [])]);
    } catch {
      // The events tell of a lost connection.
    }
    if (!signal.aborted) {
      timer = setTimeout(look, Look);
    }
  }

  await follow('/v1/events', { open: look, vm: change, operation: change }, online, signal);
}

function table(names, body, label) {
  return el('div', { className: 'wide', role: 'region', tabIndex: 0, 'aria-label': label },
    el('table', {}, el('thead', {}, el('tr', {}, ...names.map(name => el('th', { scope: 'col' }, name)))), body));
}

// Rows stay the same elements, so that the focus stays where it is.
function fill(body, rows, key, cells) {
  const before = new Map([...body.rows].map(row => [row.dataset.key, row]));
  rows.forEach((item, index) => {
    let row = before.get(key(item));
    if (row === undefined) {
      row = el('tr');
      row.dataset.key = key(item);
      row.append(...cells(item).map((_, cell) => el(cell === 0 ? 'th' : 'td', cell === 0 ? { scope: 'row' } : {})));
    }
    before.delete(key(item));
    if (body.rows[index] !== row) {
      body.insertBefore(row, body.rows[index] ?? null);
    }
    cells(item).forEach((content, cell) => {
      const at = row.cells[cell];
      if (typeof content === 'string') {
        put(at, content);
      } else if (at.firstChild === null || at.firstChild.className !== content.className) {
        at.replaceChildren(content);
      } else {
        put(at.firstChild, content.textContent);
      }
    });
  });
  before.forEach(row => row.remove());
}

const vmCells = record => [
  el('a', { href: `#/vm/${record.vm}` }, record.vm),
  el('span', { className: `state ${record.state.toLowerCase()}` }, record.state),
  `${record.enabledCpus}/${record.spec.maxCpus}`,
  mebibytes(record.spec.memoryBytes),
  record.node,
  record.owner,
];

const nodeCells = node => [
  node.node, String(node.vms), String(node.cores), mebibytes(node.memoryBytes), node.labels.join(' '), node.takesVms ? 'yes' : 'drained',
];

// The button stays the same element while its text changes, so it reads there what it is to do.
const changeOf = ({ node, takesVms }, changed) => el('button', {
  type: 'button',
  className: 'change',
  onclick: event => {
    const set = async takes => {
      await call('PUT', `/v1/nodes/${node}`, { takesVms: takes });
      changed();
    };
    if (event.currentTarget.textContent === drain(node)) {
      ask(`Drain ${node}: move its VMs to other nodes, and let none come?`, [], 'Drain', () => set(false));
    } else {
      attempt(() => set(true));
    }
  },
}, takesVms ? drain(node) : `Undrain ${node}`);

const drain = node => `Drain ${node}`;
