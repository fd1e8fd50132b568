// One VM: what it is, its CPUs, what happens, its console.

import { call, follow, operate } from '/ui/api.js';
import { makeCharts } from '/ui/charts.js';
import { makeConsole } from '/ui/console.js';
import { ask } from '/ui/dialogs.js';
import { announce, attempt, clock, el, mebibytes, put } from '/ui/dom.js';

export async function showVm(main, vm, role, online, signal) {
  document.title = `${vm} · Vmm fleet`;
  const facts = el('p', { id: 'facts' });
  const state = el('span', { className: 'state', id: 'state' });
  const controls = makeControls(vm, role);
  const cpus = makeCpus(vm, role);
  const timeline = makeTimeline();
  const charts = makeCharts(signal);
  const migration = makeMigration();
  const terminal = makeConsole(vm, role.mayOperate, signal);
  main.replaceChildren(
    el('p', {}, el('a', { href: '#/' }, 'All VMs')),
    el('div', { className: 'bar' }, el('h1', {}, vm), state),
    facts,
    controls.section,
    el('div', { className: 'columns' },
      el('div', {}, cpus.section, terminal.section),
      el('div', {}, timeline.section, migration.section, charts.section)));

  await follow(`/v1/vms/${vm}/watch`, {
    open: () => {
      terminal.clear();
      timeline.clear();
      charts.clear();
    },
    vm: record => {
      put(state, record.state);
      state.className = `state ${record.state.toLowerCase()}`;
      const policy = record.spec.scaling;
      put(facts, `${record.spec.maxCpus} possible CPUs (${record.spec.cpuModel}), ${mebibytes(record.spec.memoryBytes)}, at ${record.node}, `
        + `of ${record.owner}${record.detail === '' ? '' : `; ${record.detail}`}`
        + `${policy === null ? '' : `; ${policy.minimum} to ${policy.maximum} CPUs by load`}`);
      controls.record(record);
    },
    operation: operation => {
      timeline.operation(operation);
      migration.operation(operation);
      controls.operation(operation);
    },
    view: view => {
      cpus.view(view);
      charts.view(view);
      migration.view(view);
      view.happened.forEach(timeline.happening);
    },
    scaling: charts.decision,
    console: output => terminal.write(Uint8Array.from(atob(output.bytes), character => character.charCodeAt(0))),
  }, online, signal);
}

// The CPU that an operation is about; -1 for none.
const cpuOf = operation => ['Plug', 'Unplug', 'Enable', 'Disable'].includes(operation.action) ? operation.number : -1;

const nameOf = operation => operation.action === 'Resize' ? `Resize to ${operation.number} CPUs`
  : operation.text === '' ? operation.action : `${operation.action} ${operation.text}`;

const endOf = operation => `${nameOf(operation)}: ${operation.outcome.toLowerCase()}${operation.detail === '' ? '' : `, ${operation.detail}`}`;

function makeControls(vm, role) {
  const button = (text, onclick) => el('button', { type: 'button', onclick }, text);
  const request = (action, number, text) => attempt(() => operate(vm, action, number, text));
  let now;
  const start = button('Start', () => request('Start'));
  const stop = button('Stop', () => ask(`Stop ${vm}`, [
    { name: 'seconds', label: 'Seconds that the guest may take to power off', type: 'number', min: 0, max: 3600, value: '30' },
  ], 'Stop', value => operate(vm, 'Stop', Number(value.seconds))));
  const resize = button('Resize', () => ask(`Resize ${vm}`, [
    { name: 'cpus', label: 'CPUs', type: 'number', min: 1, max: now.spec.maxCpus, value: String(now.enabledCpus), required: true },
  ], 'Resize', value => operate(vm, 'Resize', Number(value.cpus))));
  const snapshot = button('Snapshot', () => ask(`Snapshot of ${vm}`, [
    { name: 'tag', label: 'Name', type: 'text', required: true, autocomplete: 'off' },
  ], 'Save', value => operate(vm, 'Save', 0, value.tag)));
  const restore = button('Restore', () => ask(`Restore ${vm}`, [
    { name: 'tag', label: 'Snapshot', options: now.snapshots.toReversed().map(tag => [tag, tag]) },
  ], 'Restore', value => operate(vm, 'Restore', 0, value.tag)));
  const migrate = button('Migrate', async () => {
    const nodes = await attempt(() => call('GET', '/v1/nodes'));
    if (nodes !== undefined) {
      ask(`Migrate ${vm}`, [
        { name: 'node', label: 'To the node', options: nodes.filter(node => node.takesVms).map(({ node }) => [node, node]) },
      ], 'Migrate', value => operate(vm, 'Migrate', 0, value.node ?? ''));
    }
  });
  const policy = button('Policy', () => askForPolicy(vm, now.spec));
  const remove = button('Delete', () => ask(`Delete ${vm} and all of it?`, [], 'Delete', async () => {
    await call('DELETE', `/v1/vms/${vm}`);
    location.hash = '#/';
  }));
  const all = [start, stop, resize, snapshot, restore, migrate, policy, ...(role.mayCreate ? [remove] : [])];
  all.forEach(each => { each.disabled = true; });
  const opened = Date.now();
  return {
    section: el('div', { className: 'bar controls', role: 'group', 'aria-label': `What to do with ${vm}`, hidden: !role.mayOperate }, ...all),
    record(record) {
      now = record;
      const runs = ['Running', 'Paused'].includes(record.state);
      start.disabled = runs || record.state === 'Starting';
      stop.disabled = !runs && record.state !== 'Starting' && !record.isWanted;
      [resize, snapshot].forEach(each => { each.disabled = !runs; });
      restore.disabled = record.snapshots.length === 0;
      migrate.disabled = false;
      policy.disabled = false;
      remove.disabled = false;
    },
    operation(operation) {
      if (operation.isDone && operation.endedAt >= opened - 1000) {
        announce(cpuOf(operation) < 0 ? endOf(operation) : `CPU ${cpuOf(operation)}: ${endOf(operation)}`);
      }
    },
  };
}

// How the number of CPUs follows the load. What is not asked for, such as a schedule, stays as it is.
function askForPolicy(vm, { maxCpus, scaling }) {
  const number = (name, label, usual, more) => ({
    name, label, type: 'number', required: true, value: String(scaling?.[name] ?? usual), ...more,
  });
  ask(`CPUs of ${vm} by load`, [
    { name: 'follows', label: 'The number of CPUs', options: [['yes', 'follows the load'], ['no', 'stays as it is']] },
    number('minimum', 'Minimum', 1, { min: 1, max: maxCpus }),
    number('maximum', 'Maximum', maxCpus, { min: 1, max: maxCpus }),
    number('target', 'Load of a CPU at which more are plugged', 0.6, { min: 0.05, max: 1, step: 0.05 }),
    number('upAfter', 'Seconds of load before a plug', 3, { min: 0, step: 'any' }),
    number('downAfter', 'Seconds without before an unplug', 300, { min: 0, step: 'any' }),
    number('coolDown', 'Seconds from a change to an unplug', 60, { min: 0, step: 'any' }),
  ], 'Set', ({ follows, ...values }) => follows === 'no' ? call('DELETE', `/v1/vms/${vm}/scaling`)
    : call('PUT', `/v1/vms/${vm}/scaling`, {
      ...scaling, ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Number(value)])),
    }));
}

// A tile for each possible CPU: it changes as the CPU does.
function makeCpus(vm, role) {
  const list = el('ul', { className: 'tiles', id: 'cpus' });
  const none = el('p', { className: 'hint' }, 'The VM does not run.');
  const tiles = [];

  function makeTile(cpu) {
    const term = label => {
      const value = el('dd');
      return { value, row: el('div', {}, el('dt', {}, label), value) };
    };
    const rows = { admin: term('Admin'), acpi: term('ACPI'), gic: term('GIC'), psci: term('PSCI'), actor: term('vCPU') };
    const change = action => attempt(() => operate(vm, action, cpu));
    const button = (action, label) => el('button', {
      type: 'button', onclick: () => change(action), 'aria-label': `${action} CPU ${cpu}`, hidden: true,
    }, label);
    const buttons = {
      Plug: button('Plug', 'Plug'), Unplug: button('Unplug', 'Unplug'), Enable: button('Enable', 'Enable'), Disable: button('Disable', 'Disable'),
    };
    const item = el('li', { className: 'tile', id: `cpu-${cpu}` },
      el('h3', {}, `CPU ${cpu}`),
      el('dl', {}, ...Object.values(rows).map(({ row }) => row)),
      el('div', { className: 'bar' }, ...Object.values(buttons)));
    return {
      item,
      view(state) {
        item.className = `tile ${state.admin.toLowerCase()} ${state.psci.toLowerCase()}`;
        put(rows.admin.value, state.admin.toLowerCase());
        put(rows.acpi.value, state.acpi ? 'enabled' : 'not enabled');
        put(rows.gic.value, state.gic ? 'accessible' : 'not accessible');
        put(rows.psci.value, { On: 'on', Off: 'off', OnPending: 'on pending' }[state.psci]);
        put(rows.actor.value, { None: 'none', PoweredOff: 'off', Running: 'runs', Parked: 'waits', Paused: 'paused' }[state.actor]);
        const shown = !role.mayOperate ? []
          : { Enabled: cpu === 0 ? [] : ['Unplug', 'Disable'], Disabled: ['Enable', 'Unplug'], Removed: ['Plug'] }[state.admin];
        for (const [action, each] of Object.entries(buttons)) {
          const hides = !shown.includes(action);
          if (hides && each === document.activeElement) {
            // The focus stays at the CPU.
            queueMicrotask(() => Object.values(buttons).find(other => !other.hidden)?.focus());
          }
          each.hidden = hides;
        }
      },
    };
  }

  return {
    section: el('section', { 'aria-labelledby': 'cpus-title' }, el('h2', { id: 'cpus-title' }, 'CPUs'), none, list),
    view(view) {
      none.hidden = view.cpus.length > 0;
      while (tiles.length > view.cpus.length) {
        tiles.pop().item.remove();
      }
      view.cpus.forEach((state, cpu) => {
        if (cpu >= tiles.length) {
          tiles.push(makeTile(cpu));
          list.append(tiles[cpu].item);
        }
        tiles[cpu].view(state);
      });
    },
  };
}

// What happened, in the order of its time, with how long after the last request it was.
function makeTimeline() {
  const Most = 300;
  const list = el('ol', { className: 'log timeline', id: 'timeline', tabIndex: 0, 'aria-label': 'What happened' });
  let entries = [];
  const asked = new Set();
  const ended = new Set();

  function add(at, cpu, text, kind) {
    const entry = { at, begins: kind === 'begins', offset: el('span', { className: 'offset' }) };
    entry.item = el('li', { className: kind },
      el('time', { dateTime: new Date(at).toISOString() }, clock(at)), ' ', entry.offset, ' ',
      el('span', { className: 'cpu' }, cpu < 0 ? 'VM' : `CPU ${cpu}`), ' ', text);
    const after = entries.findLastIndex(other => other.at <= at);
    const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
    entries.splice(after + 1, 0, entry);
    list.insertBefore(entry.item, entries[after + 2]?.item ?? null);
    if (entries.length > Most) {
      entries.shift().item.remove();
    }
    for (let i = after + 1; i < entries.length; i++) {
      const begin = entries.findLast((other, index) => index < i && other.begins);
      put(entries[i].offset, begin === undefined || entries[i].begins ? '' : `+${entries[i].at - begin.at} ms`);
    }
    if (isAtEnd) {
      list.scrollTop = list.scrollHeight;
    }
  }

  return {
    section: el('section', { 'aria-labelledby': 'timeline-title' }, el('h2', { id: 'timeline-title' }, 'Timeline'), list),
    happening: happening => add(happening.at, happening.cpu, happening.text, 'happened'),
    operation(operation) {
      if (!asked.has(operation.id)) {
        asked.add(operation.id);
        add(operation.startedAt, cpuOf(operation), `${nameOf(operation)} is asked for`, 'begins');
      }
      if (operation.isDone && !ended.has(operation.id)) {
        ended.add(operation.id);
        add(operation.endedAt, cpuOf(operation), endOf(operation), operation.outcome === 'Done' ? 'ends' : 'ends bad');
      }
    },
    clear() {
      entries = [];
      asked.clear();
      ended.clear();
      list.replaceChildren();
    },
  };
}

function makeMigration() {
  const progress = el('progress', { max: 1, value: 0, 'aria-label': 'RAM that is sent' });
  const said = el('p', { id: 'migration' });
  const rounds = el('tbody');
  const section = el('section', { 'aria-labelledby': 'migration-title', hidden: true },
    el('h2', { id: 'migration-title' }, 'Migration'), said, progress,
    el('table', {}, el('thead', {}, el('tr', {}, ...['Round', 'Pages', 'Milliseconds'].map(text => el('th', { scope: 'col' }, text)))), rounds));
  return {
    section,
    view({ migration }) {
      if (migration === null || migration.incoming) {
        return;
      }
      section.hidden = false;
      progress.hidden = migration.status !== 'Active';
      progress.value = migration.total === 0 ? 0 : 1 - (migration.remaining / migration.total);
      put(said, `${migration.status.toLowerCase()}: ${mebibytes(migration.transferred)} sent, ${mebibytes(migration.remaining)} remain, `
        + `round ${migration.pass}, downtime ${migration.downtimeMilliseconds} ms`);
      rounds.replaceChildren(...migration.passPages.map((pages, i) => el('tr', {},
        el('th', { scope: 'row' }, String(i + 1)), el('td', {}, String(pages)), el('td', {}, String(migration.passMilliseconds[i] ?? '')))));
    },
    operation(operation) {
      if (operation.action === 'Migrate' && operation.isDone) {
        section.hidden = false;
        progress.hidden = true;
        put(said, endOf(operation));
      }
    },
  };
}
