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

// 12,345; 0.0125; 1.5e-7
function number(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return value.toExponential(2).replace(/\.?0+e/, 'e').replace('e+', 'e');
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(4)));
}

function duration(seconds) {
  if (seconds < 100) return `${Number(seconds.toPrecision(3))} s`;
  if (seconds < 6000) return `${Number((seconds / 60).toPrecision(3))} min`;
  return `${Number((seconds / 3600).toPrecision(3))} h`;
}

// The clock is examples; people count epochs.
const axes = {
  examples: {name: study.train_examples ? 'epochs' : 'examples', scale: study.train_examples || 1, text: number},
  updates: {name: 'updates', scale: 1, text: number},
  seconds: {name: 'seconds of training', scale: 1, text: duration},
};

function linearTicks(low, high, count) {
  const rough = (high - low) / count;
  if (!(rough > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; ++k) ticks.push(k * step);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  const decades = Math.log10(high / low);
  const steps = decades > 5 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 3, 5];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); ++power) {
    for (const step of steps) {
      const tick = step * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

// A panel: {key, title, note, source(variant) -> columns, value, axis (fixed) or null, steps, log, text}
class Panel {
  constructor(parent, options) {
    Object.assign(this, options);
    state.log[this.key] = this.log;
    this.figure = html('figure', {id: `figure-${this.key}`}, parent);
    const caption = html('figcaption', {textContent: this.title + ' '}, this.figure);
    html('span', {textContent: this.note}, caption);
    this.box = html('div', {}, this.figure);
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
    return study.variants.map((variant, index) => ({variant, index, data: this.source(variant)}))
        .filter(({index, data}) => shown[index] && data[axis].length > 0)
        .map(({variant, index, data}) => ({
               index,
               name: variant.name,
               x: data[axis].map((x) => x / scale),
               y: data[this.value],
               low: data.low && this.value === 'mean' ? data.low : null,
               high: data.high && this.value === 'mean' ? data.high : null,
               runs: data.runs,
             }));
  }

  draw() {
    const width = Math.max(240, this.box.clientWidth);
    const height = Math.round(Math.min(300, Math.max(200, width * 0.6)));
    const edge = {left: 58, right: 12, top: 10, bottom: 40};
    const series = this.series();
    this.box.replaceChildren();
    const svg = element('svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': this.title}, this.box);
    const right = series.flatMap((s) => s.x).reduce((a, b) => Math.max(a, b), 0) || 1;
    // Where the end is what matters, the steep beginning runs out of the figure at the bottom.
    const counts = (x) => !this.end || x >= right / 8;
    const values = series.flatMap((s) => [s.y, s.low || [], s.high || []].flatMap((ys) => ys.filter((y, i) => counts(s.x[i]))))
                       .filter(Number.isFinite);
    const logarithmic = state.log[this.key];
    const usable = logarithmic ? values.filter((v) => v > 0) : values;
    this.drawn = null;
    if (usable.length === 0) {
      element('text', {x: width / 2, y: height / 2, 'text-anchor': 'middle'}, svg, 'nothing to show yet');
      return;
    }
    let low = usable.reduce((a, b) => Math.min(a, b));
    let high = usable.reduce((a, b) => Math.max(a, b));
    if (logarithmic) {
      const room = Math.max(1.05, (high / low) ** 0.05);
      low /= room;
      high *= room;
    } else {
      const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
      low = low >= 0 ? Math.max(0, low - room) : low - room;
      high += room;
    }
    const px = (x) => edge.left + x / right * (width - edge.left - edge.right);
    const part = (y) => logarithmic ? Math.log(Math.max(y, low / 2) / low) / Math.log(high / low) : (y - low) / (high - low);
    const py = (y) => height - edge.bottom - part(y) * (height - edge.top - edge.bottom);

    for (const tick of logarithmic ? logTicks(low, high) : linearTicks(low, high, 5)) {
      element('line', {class: 'grid', x1: edge.left, x2: width - edge.right, y1: py(tick), y2: py(tick)}, svg);
      element('text', {x: edge.left - 6, y: py(tick) + 4, 'text-anchor': 'end'}, svg, this.text(tick));
    }
    const axis = axes[this.axisName()];
    for (const tick of linearTicks(0, right, Math.max(3, Math.floor(width / 80)))) {
      element('line', {class: 'grid', x1: px(tick), x2: px(tick), y1: height - edge.bottom, y2: height - edge.bottom + 4}, svg);
      const text = element('text', {x: px(tick), y: height - edge.bottom + 17, 'text-anchor': 'middle'}, svg, axis.text(tick));
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
      let path = '';
      let before = null;
      for (const {x, i} of points) {
        const at = {x: px(x).toFixed(1), y: py(s.y[i]).toFixed(1)};
        if (before === null) path += `M${at.x} ${at.y}`;
        else path += this.steps ? `H${at.x}V${at.y}` : `L${at.x} ${at.y}`;
        before = at;
      }
      element('path', {class: 'curve', d: path, stroke: colour(s.index), 'stroke-dasharray': dash(s.index),
                       'data-variant': s.name}, curves);
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
    html('div', {textContent: `${axis.text(x)} ${axis.name === 'seconds of training' ? '' : axis.name}`}, this.tip);
    for (const s of series) {
      let nearest = 0;
      for (let i = 1; i < s.x.length; ++i) {
        if (this.steps ? s.x[i] <= x : Math.abs(s.x[i] - x) < Math.abs(s.x[nearest] - x)) nearest = i;
      }
      if (x > s.x[s.x.length - 1] + right * 0.02) continue;
      let text = `${s.name}: ${this.text(s.y[nearest])}`;
      if (s.low && s.runs[nearest] > 1) text += ` (${this.text(s.low[nearest])} to ${this.text(s.high[nearest])})`;
      html('div', {textContent: text, style: `color: ${colour(s.index)}`}, this.tip);
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

// A bar per variant, the value written at its end.
class Bars {
  constructor(parent, options) {
    Object.assign(this, options);
    this.figure = html('figure', {id: `figure-${this.key}`}, parent);
    const caption = html('figcaption', {textContent: this.title + ' '}, this.figure);
    html('span', {textContent: this.note}, caption);
    this.box = html('div', {}, this.figure);
    new ResizeObserver(() => this.draw()).observe(this.figure);
  }

  draw() {
    const width = Math.max(240, this.box.clientWidth);
    const bars = study.variants.map((variant, index) => ({name: variant.name, index, value: this.value(variant)}))
                     .filter(({index, value}) => shown[index] && value > 0);
    const height = Math.max(60, 44 * bars.length + 6);
    this.box.replaceChildren();
    const svg = element('svg', {viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': this.title}, this.box);
    const most = bars.reduce((a, b) => Math.max(a, b.value), 0);
    if (bars.length === 0) element('text', {x: width / 2, y: 30, 'text-anchor': 'middle'}, svg, 'no run has finished yet');
    bars.forEach((bar, row) => {
      const y = row * 44;
      element('text', {x: 0, y: y + 14}, svg, bar.name);
      element('rect', {x: 0, y: y + 20, width: Math.max(2, bar.value / most * (width - 90)), height: 16, rx: 2,
                       fill: colour(bar.index), 'data-variant': bar.name}, svg);
      element('text', {x: Math.max(2, bar.value / most * (width - 90)) + 6, y: y + 33}, svg, this.text(bar.value));
    });
  }
}

const figures = document.getElementById('figures');
const accuracies = (variant) => variant.accuracies;
const losses = (variant) => variant.losses;
const settings = (variant) => variant.settings;
const band = 'line: mean of the seeds; band: lowest to highest';
const panels = [
  new Panel(figures, {key: 'accuracy', title: 'Test accuracy, %', note: band, source: accuracies, value: 'mean', end: true,
                      text: number}),
  new Panel(figures, {key: 'loss', title: 'Training loss', note: band, source: losses, value: 'mean', log: true, text: number}),
  new Panel(figures, {key: 'learning_rate', title: 'Learning rate', note: '', source: settings, value: 'learning_rate',
                      steps: true, log: true, text: number}),
  new Panel(figures, {key: 'batch', title: 'Global batch', note: 'examples per update', source: settings,
                      value: 'global_batch', steps: true, log: true, text: number}),
  new Panel(figures, {key: 'noise', title: 'Noise scale', note: 'equivalent schedules lie on each other against epochs',
                      source: settings, value: 'noise_scale', steps: true, log: true, text: number}),
  new Bars(figures, {key: 'updates', title: 'Updates', note: 'sequential steps of a finished run',
                     value: (variant) => variant.updates, text: number}),
  new Panel(figures, {key: 'loss_updates', title: 'Training loss against updates', note: '', source: losses, value: 'mean',
                      axis: 'updates', log: true, text: number}),
  new Panel(figures, {key: 'accuracy_seconds', title: 'Test accuracy against wall-clock, %', note: 'training time, without evaluations',
                      source: accuracies, value: 'mean', axis: 'seconds', end: true, text: number}),
  new Bars(figures, {key: 'seconds', title: 'Seconds of training', note: 'mean of finished runs, as measured here',
                     value: (variant) => variant.seconds, text: duration}),
];
if (study.variants.some((variant) => variant.seconds_on_workers['16'])) {
  panels.push(new Bars(figures, {key: 'workers', title: 'Seconds on 16 workers', note: 'an estimate, see below',
                                 value: (variant) => variant.seconds_on_workers['16'] || 0, text: duration}));
}
const redraw = () => panels.forEach((panel) => panel.draw());

const toggles = document.getElementById('toggles');
study.variants.forEach((variant, index) => {
  const label = html('label', {}, toggles);
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
