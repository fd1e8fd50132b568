// A Linux guest of one node, from its creation on.

import assert from 'node:assert/strict';
import { has, have, isAccessible, picture, run, server, shows, signIn, until } from './browser.mjs';

await run(async (open, expect) => {
  const page = await open({ colorScheme: 'dark' });
  await page.goto(server);
  await isAccessible(page, 'sign in');

  // Chromium itself writes of each answer that is a problem.
  expect([/status of 401/]);
  await signIn(page, 'x'.repeat(24));
  await has(page, '#complaint', 'give a token');
  expect([]);
  await signIn(page, process.env.PAGE_ADMIN);
  await has(page, '#asker', 'ada (admin)');
  await has(page, '#link', 'Connected');
  assert.equal(new URL(page.url()).search, '');

  // By the keyboard alone.
  await page.locator('#create').focus();
  await page.keyboard.press('Enter');
  await isAccessible(page, 'create');
  await page.getByLabel('Name', { exact: true }).fill('web');
  await page.getByLabel('Kernel (').fill(process.env.PAGE_KERNEL);
  await page.getByLabel('Initial RAM disk').fill(process.env.PAGE_INITRD);
  await page.getByLabel('Kernel command line').press('Enter');
  await has(page, 'h1', 'web');
  await has(page, '#facts', 'at node1, of ada');

  // It boots in the console, and takes what is typed.
  await page.getByRole('button', { name: 'Start' }).click();
  await has(page, '#state', 'Running');
  await shows(page, '] ');
  await shows(page, 'guest is up: Linux');
  await shows(page, 'vmm#');
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type('echo typed-$((6*7))\n');
  await shows(page, 'typed-42');
  await page.keyboard.press('Control+]');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'aloud');

  // A CPU is plugged by a click: its tile and the timeline change.
  await has(page, '#cpu-1', 'removed');
  await page.getByRole('button', { name: 'Plug CPU 1' }).click();
  await until(page, () => document.querySelector('#cpu-1.enabled') !== null);
  for (const text of ['CPU 1 Plug is asked for', 'administrator: enabled', 'ACPI: _STA is enabled', 'GIC: CPU interface accessible',
    'the guest answers with _OST: source 0x1, status 0x0', 'CPU 1 Plug: done']) {
    await has(page, '#timeline', text);
  }
  await has(page, '#said', 'CPU 1: Plug: done');
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type('echo 1 > /sys/devices/system/cpu/cpu1/online; cat /sys/devices/system/cpu/online\n');
  await shows(page, '\n0-1');
  await until(page, () => document.querySelector('#cpu-1.enabled.on') !== null);
  await has(page, '#timeline', 'PSCI: on');
  await has(page, '#load', 'of 4 enabled');
  await until(page, () => document.querySelector('.chart canvas') !== null);

  // Where it cannot go, it says so.
  await page.getByRole('button', { name: 'Migrate' }).click();
  expect([/status of 422/]);
  await page.getByRole('dialog').getByRole('button', { name: 'Migrate' }).click();
  await has(page, 'dialog', "the VM is at node 'node1' already");
  expect([]);
  await page.getByRole('button', { name: 'Cancel' }).click();

  await page.getByRole('button', { name: 'Snapshot' }).click();
  await page.getByLabel('Name', { exact: true }).fill('first');
  await page.keyboard.press('Enter');
  await has(page, '#timeline', 'Save first: done');

  await page.getByRole('button', { name: 'Resize' }).click();
  await page.getByRole('spinbutton', { name: 'CPUs' }).fill('3');
  await page.keyboard.press('Enter');
  await has(page, '#timeline', 'Resize to 3 CPUs: done');
  await until(page, () => document.querySelector('#cpu-2.enabled') !== null);
  await page.getByRole('button', { name: 'Unplug CPU 2' }).click();
  await has(page, '#timeline', 'CPU 2 Unplug: done');
  await until(page, () => document.querySelector('#cpu-2.removed') !== null);

  // A policy is set by the keyboard, keeps what was said when it is changed, is refused in words, and is taken away.
  const policy = async (...fields) => {
    await page.getByRole('button', { name: 'Policy' }).focus();
    await page.keyboard.press('Enter');
    for (const [label, value] of fields) {
      await page.getByLabel(label, { exact: true }).fill(value);
    }
    await page.keyboard.press('Enter');
  };
  await policy(['Minimum', '2'], ['Maximum', '3'], ['Seconds without before an unplug', '3000']);
  await has(page, '#facts', '2 to 3 CPUs by load');
  await policy(['Maximum', '4']);
  await has(page, '#facts', '2 to 4 CPUs by load');
  await page.getByRole('button', { name: 'Policy' }).click();
  await isAccessible(page, 'policy');
  assert.equal(await page.getByLabel('Seconds without before an unplug').inputValue(), '3000');
  await page.getByLabel('Minimum').fill('4');
  await page.getByLabel('Maximum').fill('3');
  expect([/status of 422/]);
  await page.getByRole('button', { name: 'Set' }).click();
  await has(page, 'dialog .wrong', 'scaling: ');
  expect([]);
  await page.getByLabel('The number of CPUs').selectOption('no');
  await page.getByRole('button', { name: 'Set' }).click();
  await until(page, () => !document.querySelector('#facts').textContent.includes('by load'));

  await isAccessible(page, 'VM, dark');
  await picture(page, 'page-vm-dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await isAccessible(page, 'VM, light');
  await page.setViewportSize({ width: 390, height: 844 });

  // Nothing is wider than a phone, once the charts have followed.
  await until(page, () => document.documentElement.scrollWidth <= innerWidth);
  await isAccessible(page, 'VM, phone');
  await picture(page, 'page-vm-phone');
  await page.setViewportSize({ width: 1280, height: 900 });

  // Somebody who may only look.
  const other = await open({ colorScheme: 'light' });
  await other.goto(`${server}/#/vm/web`);
  await signIn(other, process.env.PAGE_VIEWER);
  await has(other, '#asker', 'eve (viewer)');
  await shows(other, '0-1');
  assert.equal(await other.getByRole('button', { name: /Start|Plug|Delete/ }).count(), 0);
  await other.locator('.xterm-helper-textarea').focus();
  await other.keyboard.type('echo not-$((6*7))\n');
  await other.context().close();

  // The node ends and starts again; its VM has gone on. Chromium itself writes of connections that are lost or refused.
  expect([/Failed to load resource: net::ERR_/]);
  await have('end');
  await has(page, '#link', 'Connection lost');
  await have('start');
  await has(page, '#link', 'Connected');
  expect([]);
  await has(page, '#state', 'Running');
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type('echo again-$((6*7))\n');
  await shows(page, 'again-42');
  assert.equal(await page.evaluate(() => document.querySelector('.xterm-rows').textContent.includes('not-42')), false);

  await page.getByRole('link', { name: 'All VMs' }).click();
  await has(page, 'tbody', 'Running');
  await isAccessible(page, 'fleet, light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await isAccessible(page, 'fleet, dark');
  await page.getByRole('link', { name: 'web' }).click();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByLabel('Seconds').fill('0');
  await page.keyboard.press('Enter');
  await has(page, '#state', 'Stopped');
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await has(page, 'main', 'There is no VM yet.');
  await page.getByRole('button', { name: 'Sign out' }).click();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});
