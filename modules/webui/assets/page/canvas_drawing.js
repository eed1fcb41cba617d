// A drawing on a picture: one layer in the picture's own pixels that is never shown itself, and its history.
// It is touched once a stroke, in the rectangle that the stroke covers.
const MAX_HISTORY_BYTES = 192 * 2 ** 20;
const PRESSURE_FLOOR = 0.25;  // the lightest touch of a pen draws a quarter of the size

const stamps = new Map();  // soft round brushes by colour and hardness
const stampOf = (colour, hardness) => {
  const key = `${colour} ${hardness}`;
  if (stamps.has(key)) return stamps.get(key);
  if (stamps.size > 32) stamps.clear();
  const stamp = document.createElement('canvas');
  stamp.width = stamp.height = 256;
  const pen = stamp.getContext('2d'), fade = pen.createRadialGradient(128, 128, 0, 128, 128, 128);
  for (const [at, alpha] of [[0, 'ff'], [hardness, 'ff'], [(1 + hardness) / 2, '55'], [1, '00']]) fade.addColorStop(at, colour + alpha);
  pen.fillStyle = fade;
  pen.fillRect(0, 0, 256, 256);
  stamps.set(key, stamp);
  return stamp;
};

/** One piece of a stroke from point `a` to `b`, each `[x, y, pressure]` in pixels of the picture. */
const drawSegment = (pen, stroke, a, b) => {
  pen.globalCompositeOperation = stroke.erase ? 'destination-out' : 'source-over';
  const size = stroke.size * b[2];
  if (stroke.hardness < 1) { drawStamps(pen, stroke, a, b, size); return; }
  pen.strokeStyle = pen.fillStyle = stroke.colour;
  pen.lineCap = 'round';
  pen.lineWidth = size;
  pen.beginPath();
  if (a === b) { pen.arc(b[0], b[1], size / 2, 0, 2 * Math.PI); pen.fill(); return; }
  pen.moveTo(a[0], a[1]);
  pen.lineTo(b[0], b[1]);
  pen.stroke();
};
const drawStamps = (pen, stroke, a, b, size) => {
  const stamp = stampOf(stroke.colour, stroke.hardness), gap = Math.max(1, size / 6);
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]);
  const put = (x, y) => pen.drawImage(stamp, x - size / 2, y - size / 2, size, size);
  if (a === b) { put(b[0], b[1]); return; }
  let at = gap - (stroke.carry || 0);
  for (; at <= length; at += gap) put(a[0] + (b[0] - a[0]) * at / length, a[1] + (b[1] - a[1]) * at / length);
  stroke.carry = length - (at - gap);
};

class Drawing {
  /** `colour` keeps colours for a sketch; else only the coverage counts, as a mask. */
  constructor(width, height, colour) {
    this.layer = document.createElement('canvas');
    this.layer.width = width;
    this.layer.height = height;
    this.pen = this.layer.getContext('2d', { willReadFrequently: true });
    this.colour = colour;
    this.done = [];
    this.undone = [];
    this.forgotten = false;  // the oldest steps were dropped to keep memory in bounds
    this.isSoft = false;
    this.stride = 1 + Math.ceil(width / 8);
    this.bits = colour ? null : new Uint8Array(this.stride * height);
  }

  get width() { return this.layer.width; }
  get height() { return this.layer.height; }
  get isBlank() { return !this.done.length && !this.forgotten; }

  static pressureOf(event) {
    return event.pointerType === 'pen' && event.pressure > 0 ? PRESSURE_FLOOR + (1 - PRESSURE_FLOOR) * event.pressure : 1;
  }

  /** Draw a whole stroke. */
  stroke(stroke) {
    const reach = stroke.size / 2 + 2, xs = stroke.points.map((point) => point[0]), ys = stroke.points.map((point) => point[1]);
    const least = (list) => list.reduce((a, b) => Math.min(a, b)), most = (list) => list.reduce((a, b) => Math.max(a, b));
    if (stroke.hardness < 1) this.isSoft = true;
    stroke.carry = 0;
    this.change([least(xs) - reach, least(ys) - reach, most(xs) + reach, most(ys) + reach], (pen) => {
      stroke.points.forEach((point, i, all) => drawSegment(pen, stroke, all[Math.max(0, i - 1)], point));
    });
  }

  /** Draw by `draw(pen)` within a box `[left, top, right, bottom]`, as one step of the history. */
  change(box, draw) {
    const [x, y, width, height] = this.within(box);
    if (!width || !height) return;
    const before = this.pen.getImageData(x, y, width, height);
    this.pen.save();
    draw(this.pen);
    this.pen.restore();
    this.remember({ x, y, pixels: before });
    this.note(x, y, width, height);
  }

  invert() { this.remember({ isInversion: true }); this.flip(); }

  clear() { this.change([0, 0, this.width, this.height], (pen) => pen.clearRect(0, 0, this.width, this.height)); }

  /** Fill the area around a point that lines of the drawing or the picture's edge enclose. */
  fill(x, y, colour) {
    const { width, height } = this, pixels = this.pen.getImageData(0, 0, width, height).data;
    const open = (at) => pixels[at * 4 + 3] < 128 && !marked[at], marked = new Uint8Array(width * height);
    const start = Math.floor(y) * width + Math.floor(x), todo = [];
    if (x < 0 || y < 0 || x >= width || y >= height || !open(start)) return;
    todo.push(start);
    let left = width, top = height, right = 0, bottom = 0;
    const seek = (from, to) => { for (let at = from; at <= to; at++) if (open(at) && (at === to || !open(at + 1))) todo.push(at); };
    while (todo.length) {
      const at = todo.pop(), row = Math.floor(at / width), first = row * width;
      if (!open(at)) continue;
      let a = at, b = at;
      while (a > first && open(a - 1)) a--;
      while (b < first + width - 1 && open(b + 1)) b++;
      marked.fill(1, a, b + 1);
      [left, right, top, bottom] = [Math.min(left, a - first), Math.max(right, b - first), Math.min(top, row), Math.max(bottom, row)];
      if (row > 0) seek(a - width, b - width);
      if (row < height - 1) seek(a + width, b + width);
    }
    const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    this.change([left - 1, top - 1, right + 2, bottom + 2], (pen) => {
      const [bx, by, bw, bh] = this.within([left - 1, top - 1, right + 2, bottom + 2]);
      const area = pen.getImageData(bx, by, bw, bh);
      const inside = (px, py) => px >= 0 && py >= 0 && px < width && py < height && marked[py * width + px];
      for (let py = by, i = 0; py < by + bh; py++) for (let px = bx; px < bx + bw; px++, i += 4) {
        // one pixel of reach, so that no rim stays open below the soft edge of the line around
        if (inside(px, py) || inside(px - 1, py) || inside(px + 1, py) || inside(px, py - 1) || inside(px, py + 1)) {
          if (area.data[i + 3] < 255) area.data.set([red, green, blue, 255], i);
        }
      }
      pen.putImageData(area, bx, by);
    });
  }

  /** Take a picture over as a mask: its transparency where it has some, else its brightness. */
  load(image) {
    this.isSoft = true;
    this.change([0, 0, this.width, this.height], (pen) => {
      pen.globalCompositeOperation = 'copy';
      pen.drawImage(image, 0, 0);
      const area = pen.getImageData(0, 0, this.width, this.height), data = area.data;
      let opaque = true;
      for (let i = 3; opaque && i < data.length; i += 4) opaque = data[i] === 255;
      for (let i = 0; i < data.length; i += 4) {
        const cover = opaque ? Math.round(data[i] * 0.299 + data[i + 1] * 0.587 + data[i + 2] * 0.114) : data[i + 3];
        data[i] = data[i + 1] = data[i + 2] = 255;
        data[i + 3] = cover;
      }
      pen.putImageData(area, 0, 0);
    });
  }

  /** Lay a picture over the drawing at a place. */
  put(image, x, y) {
    this.change([x, y, x + image.naturalWidth, y + image.naturalHeight], (pen) => pen.drawImage(image, x, y));
  }

  undo() { this.step(this.done, this.undone); }
  redo() { this.step(this.undone, this.done); }

  /** What travels to the server: a mask as a PNG of the picture's size, a sketch as a PNG and its place. */
  async value() {
    if (this.colour) return { paint: this.isBlank ? null : await this.paint() };
    if (this.isBlank) return { mask: '' };
    return { mask: this.isSoft ? await studio.greyPng(this.width, this.height, 8, this.greyRows()) : await studio.greyPng(this.width, this.height, 1, this.bits) };
  }

  // --- inside ---------------------------------------------------------------------------------------

  within([left, top, right, bottom]) {
    const x = Math.max(0, Math.floor(left)), y = Math.max(0, Math.floor(top));
    return [x, y, Math.max(0, Math.min(this.width, Math.ceil(right)) - x), Math.max(0, Math.min(this.height, Math.ceil(bottom)) - y)];
  }

  remember(step) {
    this.done.push(step);
    this.undone = [];
    let bytes = this.done.reduce((sum, each) => sum + (each.pixels?.data.length || 0), 0);
    while (bytes > MAX_HISTORY_BYTES && this.done.length > 1) {
      bytes -= this.done.shift().pixels?.data.length || 0;
      this.forgotten = true;
    }
  }

  step(from, to) {
    const step = from.pop();
    if (!step) return;
    to.push(step);
    if (step.isInversion) { this.flip(); return; }
    const { x, y, pixels } = step;
    step.pixels = this.pen.getImageData(x, y, pixels.width, pixels.height);
    this.pen.putImageData(pixels, x, y);
    this.note(x, y, pixels.width, pixels.height);
  }

  flip() {
    this.pen.save();
    this.pen.globalCompositeOperation = 'xor';
    this.pen.fillStyle = '#ffffff';
    this.pen.fillRect(0, 0, this.width, this.height);
    this.pen.restore();
    this.note(0, 0, this.width, this.height);
  }

  /** Keep the mask's bits true where pixels have changed. */
  note(x, y, width, height) {
    if (!this.bits) return;
    const from = x & ~7, count = Math.min(this.width, (x + width + 7) & ~7) - from;
    const data = this.pen.getImageData(from, y, count, height).data;
    for (let row = 0, i = 3; row < height; row++) {
      let at = (y + row) * this.stride + 1 + (from >> 3);
      for (let column = 0; column < count; at++) {
        let byte = 0;
        for (let bit = 128; bit && column < count; bit >>= 1, column++, i += 4) if (data[i] > 127) byte |= bit;
        this.bits[at] = byte;
      }
    }
  }

  greyRows() {
    const { width, height } = this, data = this.pen.getImageData(0, 0, width, height).data;
    const rows = new Uint8Array((width + 1) * height);
    for (let y = 0, i = 3; y < height; y++) for (let x = 1, at = y * (width + 1); x <= width; x++, i += 4) rows[at + x] = data[i];
    return rows;
  }

  async paint() {
    const [x, y, width, height] = this.painted();
    if (!width) return null;
    const part = document.createElement('canvas');
    part.width = width;
    part.height = height;
    part.getContext('2d').drawImage(this.layer, x, y, width, height, 0, 0, width, height);
    const blob = await new Promise((resolve) => { part.toBlob(resolve, 'image/png'); });
    return { png: await studio.asDataUri(blob), x, y };
  }

  painted() {
    const words = new Uint32Array(this.pen.getImageData(0, 0, this.width, this.height).data.buffer);
    let left = this.width, top = this.height, right = 0, bottom = 0;
    for (let y = 0, at = 0; y < this.height; y++) for (let x = 0; x < this.width; x++, at++) {
      if (!words[at]) continue;
      if (x < left) left = x;
      if (x >= right) right = x + 1;
      if (y < top) top = y;
      bottom = y + 1;
    }
    return this.within([left, top, right, bottom]);
  }
}

Object.assign(studio, { Drawing, drawSegment });
