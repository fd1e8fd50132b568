// Load and CPUs over time, with the decisions of the policy.

import { el, put } from '/ui/dom.js';

// Ten minutes of samples, about one a second.
const Kept = 600;

/** The section. The methods of the answer: view(view) takes samples, decision(scaled) the policy's. */
export function makeCharts(signal) {
  const place = el('div', { className: 'chart', role: 'img', 'aria-label': 'Load and CPUs over time' });
  const now = el('p', { className: 'hint', id: 'load' }, 'No sample yet.');
  const list = el('ol', { className: 'log', id: 'decisions', tabIndex: 0, 'aria-label': 'Decisions of the policy' });
  const section = el('section', { 'aria-labelledby': 'load-title' },
    el('h2', { id: 'load-title' }, 'Load and CPUs'), place, now, el('h3', {}, 'Decisions of the policy'), list);

  const data = [[], [], []];
  const decisions = [];
  let last;
  let plot;

  const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: () => color('--text'), grid: { stroke: () => color('--line'), width: 1 }, ticks: { stroke: () => color('--line'), width: 1 } };

  import('/ui/npm/uplot.mjs').then(({ default: Plot }) => {
    if (signal.aborted) {
      return;
    }
    document.head.append(el('link', { rel: 'stylesheet', href: '/ui/npm/uplot.css' }));
    plot = new Plot({
      width: Math.max(place.clientWidth, 200),
      height: 180,
      legend: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high, 1) * 1.1] } },
      axes: [axis, { ...axis, size: 36, incrs: [1, 2, 4, 8, 16, 32, 64] }],
      series: [
        {},
        { label: 'busy', stroke: () => color('--busy'), width: 2, fill: () => color('--busy-fill') },
        { label: 'enabled', stroke: () => color('--enabled'), width: 2, paths: Plot.paths.stepped({ align: 1 }) },
      ],
      hooks: {
        draw: [chart => {
          const { ctx, bbox } = chart;
          ctx.save();
          ctx.strokeStyle = color('--decision');
          ctx.setLineDash([4, 4]);
          for (const at of decisions.filter(at => at >= chart.scales.x.min && at <= chart.scales.x.max)) {
            const x = chart.valToPos(at, 'x', true);
            ctx.beginPath();
            ctx.moveTo(x, bbox.top);
            ctx.lineTo(x, bbox.top + bbox.height);
            ctx.stroke();
          }
          ctx.restore();
        }],
      },
    }, data, place);
    const observer = new ResizeObserver(() => plot.setSize({ width: Math.max(place.clientWidth, 200), height: 180 }));
    observer.observe(place);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const redraw = () => plot.redraw();
    dark.addEventListener('change', redraw);
    signal.addEventListener('abort', () => {
      observer.disconnect();
      dark.removeEventListener('change', redraw);
      plot.destroy();
    });
  }, () => {
    place.remove();
  });

  return {
    section,
    view(view) {
      const total = view.busyNs.reduce((sum, ns) => sum + ns, 0);
      if (view.cpus.length > 0 && last !== undefined && view.runNs - last.runNs >= 5e8 && total >= last.total) {
        const busy = (total - last.total) / (view.runNs - last.runNs);
        const enabled = view.cpus.filter(cpu => cpu.admin === 'Enabled').length;
        [view.at / 1000, busy, enabled].forEach((value, i) => {
          data[i].push(value);
          if (data[i].length > Kept) {
            data[i].shift();
          }
        });
        plot?.setData(data);
        put(now, `${busy.toFixed(2)} CPUs are busy, ${enabled} of ${view.cpus.length} enabled.`);
        last = { runNs: view.runNs, total };
      } else if (last === undefined || view.runNs < last.runNs || total < last.total) {
        last = view.cpus.length > 0 ? { runNs: view.runNs, total } : undefined;
      }
    },
    decision(scaled) {
      if (scaled.action !== 'Hold') {
        decisions.push(scaled.at / 1000);
      }
      list.append(el('li', {}, `${new Date(scaled.at).toLocaleTimeString('en-GB')} ${scaled.detail}`));
    },
    clear() {
      decisions.length = 0;
      list.replaceChildren();
    },
  };
}
