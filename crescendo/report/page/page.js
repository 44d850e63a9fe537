'use strict';
// Draws the figures of a study from the JSON that stands in the page (docs/formats/study.md). No library: each panel is
// an SVG that is drawn anew whenever its width, the axis, the scale or the chosen variants change.
const study = JSON.parse(document.getElementById('study').textContent);
const dashes = ['', '9 5', '2.5 4', '12 4 2.5 4', '5 3', '16 5'];
const shown = study.variants.map(() => true);
const state = {axis: 'examples', log: {}};
const svgNamespace = 'http://www.w3.org/2000/svg';

const colour = (i) => `var(--c${i % 6})`;
const dash = (i) => dashes[Math.floor(i / 6 + i) % 6];

function element(name, attributes, parent, text) {
  const node = document.createElementNS(svgNamespace, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

function html(name, properties, parent) {
  const node = Object.assign(document.createElement(name), properties);
  if (parent) parent.appendChild(node);
  return node;
}

// 12,345; 0.0125; 1.5e-7. `step`: between labels, which then differ.
function number(value, step = Infinity) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  const digits = Math.min(12, Math.max(4, Math.ceil(Math.log10(size / step)) + 1));
  if (size >= 1e7 || size < 1e-4) return value.toExponential(digits - 2).replace(/\.?0+e/, 'e').replace('e+', 'e');
  if (size < 1000) return String(Number(value.toPrecision(digits)));
  return value.toLocaleString('en-US', {maximumFractionDigits: Math.max(0, digits - Math.ceil(Math.log10(size)))});
}

// One unit for all times of the page, so that they compare.
const longest = Math.max(...study.variants.flatMap((v) => [v.losses, v.failed_losses].map((curve) => curve.seconds.at(-1) || 0)));
const time = longest < 600   ? {scale: 1, unit: 's', name: 'seconds'}
             : longest < 36000 ? {scale: 60, unit: 'min', name: 'minutes'}
                               : {scale: 3600, unit: 'h', name: 'hours'};

// The clock is examples; people count epochs.
const epochs = study.train_examples ? 'epochs' : 'examples';
const axes = {
  examples: {name: epochs, unit: epochs, scale: study.train_examples || 1},
  updates: {name: 'updates', unit: 'updates', scale: 1},
  seconds: {name: `${time.name} of training`, unit: time.unit, scale: time.scale},
};

function linearTicks(low, high, count) {
  const rough = (high - low) / count;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const length = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({length: Math.min(length, count + 2)}, (_, k) => (first + k) * step);
}

// At most 7, however many decades there are: labels stand apart.
function logTicks(low, high) {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) powers.push(power);
  const candidates = [[1, 2, 3, 5], [1, 3], [1]].map((steps) => powers.flatMap((power) => steps.map((step) => step * 10 ** power)));
  const apart = Math.ceil(powers.length / 7);
  candidates.push(powers.filter((power) => power % apart === 0).map((power) => 10 ** power));
  const ticks = candidates.map((some) => some.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001))
                    .find((some) => some.length <= 7);
  return ticks.length > 2 ? ticks : linearTicks(low, high, 4);
}

// A panel: {key, title, note, sentence or null, source(variant, failed) -> columns or null, value, axis (fixed) or null,
// steps, log}
// The curves of failed runs are thin and do not count for the range: they may go anywhere before the end.
class Panel {
  constructor(parent, options) {
    Object.assign(this, options);
    state.log[this.key] = this.log;
    this.figure = html('figure', {id: `figure-${this.key}`}, parent);
    const caption = html('figcaption', {textContent: this.title + ' '}, this.figure);
    html('span', {textContent: this.note}, caption);
    if (this.sentence) html('div', {className: 'sentence', textContent: this.sentence}, this.figure);
    this.box = html('div', {}, this.figure);
    this.beyond = html('div', {className: 'beyond'}, this.figure);
    this.tip = html('div', {className: 'tip', hidden: true}, this.figure);
    this.figure.addEventListener('pointermove', (event) => this.hover(event));
    this.figure.addEventListener('pointerdown', (event) => this.hover(event));
    this.figure.addEventListener('pointerleave', () => this.leave());
    new ResizeObserver(() => this.draw()).observe(this.figure);
  }

  axisName() { return this.axis || state.axis; }

  series() {
    const axis = this.axisName();
    const scale = axes[axis].scale;
    return [true, false]
        .flatMap((failed) => study.variants.map((variant, index) => ({variant, index, failed, data: this.source(variant, failed)})))
        .filter(({index, data}) => shown[index] && data && data[axis].length > 0)
        .map(({variant, index, failed, data}) => ({
               index,
               failed,
               name: variant.name + (failed ? ', failed' : ''),
               variant: variant.name,
               x: data[axis].map((x) => x / scale),
               y: data[this.value],
               low: data.low && this.value === 'mean' ? data.low : null,
               high: data.high && this.value === 'mean' ? data.high : null,
               runs: data.runs,
               most: data.runs ? data.runs.reduce((a, b) => Math.max(a, b), 0) : 0,
             }));
  }

  draw() {
    const width = Math.max(240, this.box.clientWidth);
    const height = Math.round(Math.min(300, Math.max(200, width * 0.6)));
    const edge = {right: 12, top: 10, bottom: 40};
    const series = this.series();
    const sound = series.filter((s) => !s.failed);
    this.box.replaceChildren();
    const svg = element('svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': this.title}, this.box);
    const right = series.flatMap((s) => s.x).reduce((a, b) => Math.max(a, b), 0) || 1;
    // Where the end is what matters, the steep beginning runs out of the figure at the bottom.
    const counts = (x) => !this.end || x >= right / 8;
    const values = (sound.length > 0 ? sound : series)
                       .flatMap((s) => [s.y, s.low || [], s.high || []].flatMap((ys) => ys.filter((y, i) => counts(s.x[i]))))
                       .filter(Number.isFinite);
    const logarithmic = state.log[this.key];
    const usable = logarithmic ? values.filter((v) => v > 0) : values;
    this.drawn = null;
    this.beyond.textContent = '';
    if (usable.length === 0) {
      const why = shown.some((on) => on) ? 'nothing to show yet' : 'no variant is chosen';
      element('text', {x: width / 2, y: height / 2, 'text-anchor': 'middle'}, svg, why);
      return;
    }
    let low = usable.reduce((a, b) => Math.min(a, b));
    let high = usable.reduce((a, b) => Math.max(a, b));
    if (logarithmic) {
      const room = Math.max(1.05, (high / low) ** 0.05);
      low /= room;
      high *= room;
    } else {
      // What differs only by rounding is constant.
      const constant = high - low <= 1e-9 * Math.max(Math.abs(low), Math.abs(high));
      const room = 0.05 * (constant ? Math.abs(high) || 1 : high - low);
      low = low >= 0 ? Math.max(0, low - room) : low - room;
      high += room;
    }
    const drawable = series.flatMap((s) => s.y).filter(Number.isFinite);
    const beyond = [[drawable.filter((y) => y > high).length, 'above'], [drawable.filter((y) => y < low).length, 'below']]
                       .filter(([count]) => count > 0);
    if (beyond.length > 0) {
      const counts = beyond.map(([count, where]) => `${number(count)} ${where}`).join(', ');
      this.beyond.textContent = `Values beyond the axis: ${counts}`;
    }
    const part = (y) => logarithmic ? Math.log(Math.max(y, low / 2) / low) / Math.log(high / low) : (y - low) / (high - low);
    // No farther than the panel is high many times: what leaves it goes steeply, and every number can be drawn.
    const py = (y) => height - edge.bottom - Math.min(50, Math.max(-50, part(y))) * (height - edge.top - edge.bottom);

    const ticks = logarithmic ? logTicks(low, high) : linearTicks(low, high, 5);
    const labels = ticks.map((tick) => element('text', {y: py(tick) + 4, 'text-anchor': 'end'}, svg, number(tick, ticks[1] - ticks[0] || undefined)));
    edge.left = 10 + Math.max(...labels.map((label) => label.getComputedTextLength()));
    labels.forEach((label) => label.setAttribute('x', edge.left - 6));
    const px = (x) => edge.left + x / right * (width - edge.left - edge.right);
    for (const tick of ticks) {
      element('line', {class: 'grid', x1: edge.left, x2: width - edge.right, y1: py(tick), y2: py(tick)}, svg);
    }
    const axis = axes[this.axisName()];
    for (const tick of linearTicks(0, right, Math.max(3, Math.floor(width / 80)))) {
      element('line', {class: 'grid', x1: px(tick), x2: px(tick), y1: height - edge.bottom, y2: height - edge.bottom + 4}, svg);
      const text = element('text', {x: px(tick), y: height - edge.bottom + 17, 'text-anchor': 'middle'}, svg, number(tick));
      const beyond = px(tick) + text.getComputedTextLength() / 2 - width;
      if (beyond > 0) text.setAttribute('x', px(tick) - beyond);
    }
    element('text', {x: (edge.left + width - edge.right) / 2, y: height - 4, 'text-anchor': 'middle'}, svg, axis.name);

    const clip = element('clipPath', {id: `clip-${this.key}`}, svg);
    element('rect', {x: edge.left - 1, y: edge.top - 2, width: width - edge.left - edge.right + 3,
                     height: height - edge.top - edge.bottom + 3}, clip);
    const curves = element('g', {'clip-path': `url(#clip-${this.key})`}, svg);
    for (const s of series) {
      const visible = (v) => Number.isFinite(v) && (!logarithmic || v > 0);
      const points = s.x.map((x, i) => ({x, i})).filter(({i}) => visible(s.y[i]));
      if (s.low) {
        const upper = points.map(({x, i}) => `${px(x).toFixed(1)},${py(s.high[i]).toFixed(1)}`);
        const lower = points.map(({x, i}) => `${px(x).toFixed(1)},${py(s.low[i]).toFixed(1)}`).reverse();
        element('polygon', {class: 'band', points: [...upper, ...lower].join(' '), fill: colour(s.index)}, curves);
      }
      // Where a run is missing, the mean is one of other runs: it may jump, and is pale.
      const isPale = (i) => !s.failed && s.runs && s.runs[i] < s.most;
      const paths = {'': '', ' pale': ''};
      let before = null;
      let paleBefore = false;
      for (const {x, i} of points) {
        const at = {x: px(x).toFixed(1), y: py(s.y[i]).toFixed(1)};
        const pale = before !== null && isPale(i);
        const kind = pale ? ' pale' : '';
        if (before === null) paths[kind] += `M${at.x} ${at.y}`;
        else if (pale !== paleBefore) paths[kind] += `M${before.x} ${before.y}`;
        if (before !== null) paths[kind] += this.steps ? `H${at.x}V${at.y}` : `L${at.x} ${at.y}`;
        before = at;
        paleBefore = pale;
      }
      for (const [kind, path] of Object.entries(paths)) {
        if (!path) continue;
        element('path', {class: (s.failed ? 'failed' : 'curve') + kind, d: path, stroke: colour(s.index),
                         'stroke-dasharray': dash(s.index), 'data-variant': s.variant}, curves);
      }
      if (!s.failed || before === null) continue;
      const y = Math.min(height - edge.bottom - 5, Math.max(edge.top + 5, before.y));
      element('path', {class: 'failed', d: `M${before.x} ${y}m-4 -4l8 8m0 -8l-8 8`, stroke: colour(s.index)}, svg);
    }
    const cursor = element('line', {class: 'cursor', y1: edge.top, y2: height - edge.bottom, visibility: 'hidden'}, svg);
    this.drawn = {series, px, edge, width, right, cursor, svg};
  }

  hover(event) {
    if (!this.drawn) return;
    const {series, px, edge, width, right, cursor, svg} = this.drawn;
    const box = svg.getBoundingClientRect();
    const at = (event.clientX - box.left) * width / box.width;
    const x = Math.min(right, Math.max(0, (at - edge.left) / (width - edge.left - edge.right) * right));
    if (at < edge.left - 10 || event.clientY < box.top || event.clientY > box.bottom) return this.leave();
    cursor.setAttribute('x1', px(x));
    cursor.setAttribute('x2', px(x));
    cursor.setAttribute('visibility', 'visible');
    const axis = axes[this.axisName()];
    this.tip.replaceChildren();
    html('div', {textContent: `${number(x)} ${axis.unit}`}, this.tip);
    for (const s of series) {
      let nearest = 0;
      for (let i = 1; i < s.x.length; ++i) {
        if (this.steps ? s.x[i] <= x : Math.abs(s.x[i] - x) < Math.abs(s.x[nearest] - x)) nearest = i;
      }
      if (x > s.x[s.x.length - 1] + right * 0.02) continue;
      let text = `${s.name}: ${number(s.y[nearest])}`;
      if (s.low && s.runs[nearest] > 1) text += ` (${number(s.low[nearest])} to ${number(s.high[nearest])})`;
      if (s.runs && s.runs[nearest] < s.most) text += `, ${s.runs[nearest]} of ${s.most} runs`;
      html('div', {textContent: text, style: `color: ${colour(s.index)}`}, this.tip).dataset.variant = s.variant;
    }
    this.tip.hidden = false;
    const inside = this.figure.getBoundingClientRect();
    const left = event.clientX - inside.left + 14;
    const fits = left + this.tip.offsetWidth < inside.width;
    this.tip.style.left = `${fits ? left : Math.max(0, left - this.tip.offsetWidth - 28)}px`;
    this.tip.style.top = `${Math.max(0, event.clientY - inside.top - this.tip.offsetHeight - 10)}px`;
  }

  leave() {
    this.tip.hidden = true;
    if (this.drawn) this.drawn.cursor.setAttribute('visibility', 'hidden');
  }
}

// A bar per variant, the value written at its end; where no run has finished, lighter what is planned, where that is known
// and a run is still to come, else why there is none.
class Bars {
  constructor(parent, options) {
    Object.assign(this, options);
    this.figure = html('figure', {id: `figure-${this.key}`}, parent);
    const caption = html('figcaption', {textContent: this.title + ' '}, this.figure);
    html('span', {textContent: this.note}, caption);
    if (this.sentence) html('div', {className: 'sentence', textContent: this.sentence}, this.figure);
    this.box = html('div', {}, this.figure);
    new ResizeObserver(() => this.draw()).observe(this.figure);
  }

  draw() {
    const width = Math.max(240, this.box.clientWidth);
    const bars = study.variants
                     .map((variant, index) => {
                       const done = this.value(variant);
                       const planned = !(done > 0) && this.planned && goesOn(variant);
                       return {variant, name: variant.name, index, planned, value: planned ? this.planned(variant) : done};
                     })
                     .filter(({index}) => shown[index]);
    const high = (bar) => bar.value > 0 ? 44 : 24;
    const height = bars.reduce((sum, bar) => sum + high(bar), 6);
    this.box.replaceChildren();
    const svg = element('svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': this.title}, this.box);
    const room = bars.some((bar) => bar.planned) ? 130 : 90;
    const most = bars.reduce((a, b) => Math.max(a, b.value), 0);
    let top = 0;
    for (const bar of bars) {
      const group = element('g', {transform: `translate(0 ${top})`, 'data-variant': bar.name}, svg);
      top += high(bar);
      if (bar.value > 0) {
        const length = Math.max(2, bar.value / most * (width - room));
        element('text', {y: 14}, group, bar.name);
        const rect = element('rect', {y: 20, width: length, height: 16, rx: 2, fill: colour(bar.index)}, group);
        if (bar.planned) rect.setAttribute('class', 'planned');
        element('text', {x: length + 6, y: 33}, group, this.text(bar.value) + (bar.planned ? ' planned' : ''));
      } else {
        element('text', {y: 14}, group, `${bar.name}: ${goesOn(bar.variant) ? 'not finished yet' : 'failed'}`);
      }
    }
  }
}

const figures = document.getElementById('figures');
const accuracies = (variant, failed) => failed ? variant.failed_accuracies : variant.accuracies;
const losses = (variant, failed) => failed ? variant.failed_losses : variant.losses;
const settings = (variant, failed) => failed ? variant.failed_settings : variant.settings;
const duration = (seconds) => `${Number((seconds / time.scale).toPrecision(3))} ${time.unit}`;
const anyFailed = study.variants.some((variant) => variant.accuracy_percent.failed > 0);
const goesOn = (variant) => variant.waiting + variant.unfinished > 0;
const band = 'line: mean of the seeds; band: lowest to highest' + (anyFailed ? '; thin, ending at ×: failed runs' : '') +
    (study.variants.some(goesOn) ? '; pale: where only some of the begun runs have got to' : '');
const noTimes = study.no_time_ratio && study.variants.length > 1 ? `Times of one variant do not compare with another's: ${study.no_time_ratio}.` : '';
const panels = [
  new Panel(figures, {key: 'accuracy', title: 'Test accuracy, %', note: band, source: accuracies, value: 'mean', end: true}),
  new Panel(figures, {key: 'loss', title: 'Training loss', note: band, source: losses, value: 'mean', log: true}),
  new Panel(figures, {key: 'learning_rate', title: 'Learning rate', note: '', source: settings, value: 'learning_rate',
                      steps: true, log: true}),
  new Panel(figures, {key: 'batch', title: 'Global batch', note: 'examples per update', source: settings,
                      value: 'global_batch', steps: true, log: true}),
  new Panel(figures, {key: 'noise', title: 'Noise scale', note: 'in the form held equal; equivalent schedules lie on each other against epochs',
                      sentence: study.noise, source: settings, value: 'noise_scale', steps: true, log: true}),
  new Bars(figures, {key: 'updates', title: 'Updates', note: 'sequential steps of a run', value: (variant) => variant.updates,
                     planned: (variant) => variant.planned_updates, text: number}),
  new Panel(figures, {key: 'loss_updates', title: 'Training loss against updates', note: '', source: losses, value: 'mean',
                      axis: 'updates', log: true}),
  new Panel(figures, {key: 'accuracy_seconds', title: 'Test accuracy against wall-clock, %', note: 'training time, without evaluations: mean of the seeds',
                      sentence: noTimes, source: accuracies, value: 'mean', axis: 'seconds', end: true}),
  new Bars(figures, {key: 'seconds', title: 'Time of training', note: 'median of finished runs, as measured here',
                     sentence: noTimes, value: (variant) => variant.seconds, text: duration}),
];
const onWorkers = (variant) => variant.seconds_on_workers[study.workers] || 0;
if (study.variants.some(onWorkers)) {
  panels.push(new Bars(figures, {key: 'workers', title: `Time on ${study.workers} worker${study.workers === 1 ? '' : 's'}`,
                                 note: 'an estimate, see below', value: onWorkers, text: duration}));
}
const redraw = () => panels.forEach((panel) => panel.draw());

const toggles = document.getElementById('toggles');
study.variants.forEach((variant, index) => {
  const label = html('label', {}, toggles);
  label.dataset.variant = variant.name;
  const box = html('input', {type: 'checkbox', checked: true, id: `show-${index}`}, label);
  const key = element('svg', {class: 'key', width: 34, height: 12, style: 'width: 34px'}, label);
  element('line', {x1: 1, x2: 33, y1: 6, y2: 6, stroke: colour(index), 'stroke-width': 3, 'stroke-dasharray': dash(index)}, key);
  html('span', {textContent: variant.name}, label);
  box.addEventListener('change', () => {
    shown[index] = box.checked;
    redraw();
  });
});
for (const choice of document.querySelectorAll('input[name=axis]')) {
  choice.addEventListener('change', () => {
    state.axis = choice.value;
    redraw();
  });
}
document.getElementById('log-accuracy').addEventListener('change', (event) => {
  state.log.accuracy = state.log.accuracy_seconds = event.target.checked;
  redraw();
});
document.getElementById('log-loss').addEventListener('change', (event) => {
  state.log.loss = state.log.loss_updates = event.target.checked;
  redraw();
});
document.getElementById('log-schedule').addEventListener('change', (event) => {
  state.log.learning_rate = state.log.batch = state.log.noise = event.target.checked;
  redraw();
});
