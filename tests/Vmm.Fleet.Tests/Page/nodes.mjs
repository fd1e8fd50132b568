// A VM that goes from one node to another, seen from the first.

import { has, isAccessible, picture, run, server, signIn, until } from './browser.mjs';

await run(async open => {
  const page = await open({ colorScheme: 'light' });
  await page.goto(server);
  await signIn(page, process.env.PAGE_ADMIN);
  await has(page, 'main', 'node2');
  await page.getByRole('link', { name: 'vm1' }).click();
  await has(page, '#facts', 'at node1');
  await until(page, () => document.querySelector('#cpu-0.enabled.on') !== null);
  await until(page, () => /[0-9a-f]{16}/.test(document.querySelector('.xterm-rows')?.textContent));
  await page.getByRole('button', { name: 'Migrate' }).click();
  await page.getByLabel('To the node').selectOption('node2');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Migrate' }).click();
  await has(page, '#timeline', 'Migrate node2: done, downtime');
  await has(page, '#migration', 'downtime');
  await until(page, () => document.querySelectorAll('section table tbody tr').length > 0);
  await has(page, '#facts', 'at node2');
  await has(page, '#state', 'Running');

  // The console and the CPUs are those of the other node now.
  const before = await page.evaluate(() => document.querySelector('#load').textContent);
  await until(page, said => document.querySelector('#load').textContent !== said, before);
  const rows = await page.evaluate(() => document.querySelector('.xterm-rows').textContent);
  await until(page, said => document.querySelector('.xterm-rows').textContent !== said, rows);
  await isAccessible(page, 'VM that has moved');
  await picture(page, 'page-migration');

  // Its node is drained by the mouse: the VM is at the other one. By the keyboard the node takes VMs again.
  await page.getByRole('link', { name: 'All VMs' }).click();
  await page.getByRole('button', { name: 'Drain node2' }).click();
  await isAccessible(page, 'drain');
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
  await has(page, '[aria-label=Nodes] tbody', 'drained');
  await until(page, () => [...document.querySelectorAll('[aria-label=VMs] tbody tr')].some(row => /vm1.*Running.*node1/.test(row.textContent)));
  await isAccessible(page, 'fleet with a node that is drained');
  await page.getByRole('button', { name: 'Undrain node2' }).focus();
  await page.keyboard.press('Enter');
  await until(page, () => !document.querySelector('[aria-label=Nodes] tbody').textContent.includes('drained'));
  await page.getByRole('button', { name: 'Drain node2' }).waitFor();
});
