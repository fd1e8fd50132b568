// What is asked of people in a dialog.

import { call } from '/ui/api.js';
import { el } from '/ui/dom.js';

/**
 * Shows a dialog with fields.
 * @param fields objects with name, label and what an input takes; those with options are choices.
 * @param send takes the values by name; what it throws is told in the dialog, which stays.
 */
export function ask(title, fields, verb, send) {
  const wrong = el('p', { role: 'alert', className: 'wrong' });
  const inputs = fields.map(({ name, label, options, ...more }) => {
    const id = `field-${name}`;
    const input = options === undefined ? el('input', { id, name, ...more })
      : el('select', { id, name, ...more }, ...options.map(([value, text]) => el('option', { value }, text)));
    return el('div', { className: 'field' }, el('label', { for: id }, label), input);
  });
  const form = el('form', {
    method: 'dialog',
    onsubmit: async event => {
      event.preventDefault();
      wrong.textContent = '';
      try {
        await send(Object.fromEntries(new FormData(form)));
        dialog.close();
      } catch (error) {
        wrong.textContent = error.message;
      }
    },
  },
  el('h2', { id: 'dialog-title' }, title), ...inputs, wrong,
  el('div', { className: 'bar' },
    el('button', { type: 'submit', className: 'main' }, verb),
    el('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel')));
  const dialog = el('dialog', { 'aria-labelledby': 'dialog-title', onclose: () => dialog.remove() }, form);
  document.body.append(dialog);
  dialog.showModal();
}

/** Asks for a new VM, and shows it. */
export function askForVm(nodes) {
  const path = { type: 'text', spellcheck: false, autocomplete: 'off' };
  ask('Create a VM', [
    { name: 'name', label: 'Name', required: true, pattern: '[a-z0-9][a-z0-9\\-]{0,62}', title: 'lower-case letters, digits and -', ...path },
    { name: 'cpus', label: 'CPUs at boot', type: 'number', min: 1, max: 512, value: '1', required: true },
    { name: 'maxCpus', label: 'Possible CPUs', type: 'number', min: 1, max: 512, value: '4', required: true },
    { name: 'memory', label: 'Memory in MiB', type: 'number', min: 1, value: '512', required: true },
    { name: 'kernel', label: 'Kernel (a whole path at the node)', ...path },
    { name: 'initrd', label: 'Initial RAM disk', ...path },
    { name: 'append', label: 'Kernel command line', value: 'console=ttyAMA0', ...path },
    { name: 'firmware', label: 'Firmware, without a kernel', ...path },
    { name: 'disk', label: 'Disk', ...path },
    { name: 'node', label: 'Node', options: [['', 'where there is room'], ...nodes.map(node => [node.node, node.node])] },
    {
      name: 'policy', label: 'When it fails',
      options: [['Restart', 'start it again'], ['Restore', 'go on from its last snapshot'], ['Leave', 'leave it']],
    },
  ], 'Create', async value => {
    await call('POST', '/v1/vms', {
      name: value.name,
      policy: value.policy,
      ...(value.node === '' ? {} : { node: value.node }),
      spec: {
        cpus: Number(value.cpus),
        maxCpus: Number(value.maxCpus),
        memoryBytes: Number(value.memory) * 1048576,
        cpuModel: 'max',
        kernel: value.kernel,
        initrd: value.initrd,
        append: value.append,
        firmware: value.firmware,
        disks: value.disk === '' ? [] : [value.disk],
      },
    });
    location.hash = `#/vm/${value.name}`;
  });
}
