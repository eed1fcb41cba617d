// Mouse, pen, fingers and keys on a picture.
const MIDDLE_BUTTON = 1;

class CanvasPointer {
  constructor(field) {
    this.field = field;
    this.view = field.view;
    this.fingers = new Map();  // touch points, for pinching
    this.last = null;          // where the last stroke ended
    const element = field.viewElement, on = (name, act, options) => element.addEventListener(name, act, options);
    on('pointerdown', (event) => this.down(event));
    on('pointermove', (event) => this.move(event));
    on('pointerup', (event) => this.up(event));
    on('pointercancel', (event) => this.up(event));
    on('pointerleave', () => { field.$('.brush-ring').hidden = true; });
    on('pointerenter', () => { if (document.activeElement === document.body && !field.isEmpty) element.focus({ preventScroll: true }); });
    on('wheel', (event) => this.wheel(event), { passive: false });
  }

  down(event) {
    const { field } = this, element = field.viewElement;
    if (field.isEmpty || event.target.closest('.dropzone')) return;
    event.preventDefault();
    element.focus({ preventScroll: true });
    element.setPointerCapture(event.pointerId);
    if (event.pointerType === 'touch') {
      this.fingers.set(event.pointerId, event);
      if (this.fingers.size === 2) { this.startPinch(); return; }
    }
    if (event.button === MIDDLE_BUTTON || element.dataset.move === 'true' || field.draws === 'no') { this.panning = [event.clientX, event.clientY]; return; }
    if (event.button > 0) return;
    const at = this.view.at(event);
    if (field.tool === 'fill') { field.perform((drawing) => drawing.fill(...at, field.brush.colour)); return; }
    if (field.tool === 'pick') { field.pickColour(at); return; }
    this.start([...at, studio.Drawing.pressureOf(event)], event);
  }

  start(point, event) {
    const points = event.shiftKey && this.last ? [this.last, point] : [point];
    this.stroke = { ...this.field.brush, erase: this.field.tool === 'eraser' || event.altKey && event.pointerType === 'mouse', points };
    this.view.draw((pen) => studio.drawSegment(pen, this.stroke, points[0], point));
  }

  move(event) {
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, event);
    if (this.pinch && this.fingers.size === 2) { this.movePinch(); return; }
    if (this.panning) {
      this.view.pan(event.clientX - this.panning[0], event.clientY - this.panning[1]);
      this.panning = [event.clientX, event.clientY];
      return;
    }
    this.showRing(event);
    if (!this.stroke) return;
    const coalesced = event.getCoalescedEvents?.() || [];
    this.view.draw((pen) => {
      for (const one of coalesced.length ? coalesced : [event]) {
        const { points } = this.stroke, next = [...this.view.at(one), studio.Drawing.pressureOf(one)];
        studio.drawSegment(pen, this.stroke, points[points.length - 1], next);
        points.push(next);
      }
    });
  }

  up(event) {
    this.fingers.delete(event.pointerId);
    if (this.fingers.size < 2) this.pinch = null;
    this.panning = null;
    const { stroke } = this;
    if (!stroke) return;
    this.stroke = null;
    this.last = stroke.points[stroke.points.length - 1];
    this.field.perform((drawing) => drawing.stroke(stroke));
  }

  between() {
    const [a, b] = [...this.fingers.values()];
    return { distance: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), x: (a.clientX + b.clientX) / 2, y: (a.clientY + b.clientY) / 2 };
  }

  startPinch() {
    this.pinch = this.between();
    this.stroke = null;  // the first finger only seemed to draw
    this.view.redraw();
  }

  movePinch() {
    const now = this.between(), before = this.pinch;
    this.pinch = now;
    this.view.pan(now.x - before.x, now.y - before.y);
    this.view.zoomAt(now.distance / before.distance, now.x, now.y);
  }

  showRing(event) {
    const { field, view } = this, ring = field.$('.brush-ring'), draws = field.tool === 'brush' || field.tool === 'eraser';
    ring.hidden = event.pointerType === 'touch' || field.draws === 'no' || field.isEmpty || !draws;
    const box = field.viewElement.getBoundingClientRect(), radius = field.size * view.scale / 2;
    ring.style.width = ring.style.height = `${2 * radius}px`;
    ring.style.left = `${event.clientX - box.left - radius}px`;
    ring.style.top = `${event.clientY - box.top - radius}px`;
  }

  wheel(event) {
    const { field } = this, resizes = event.ctrlKey && studio.isControlHeld();  // a pinch on a touch pad comes as Ctrl+wheel too
    if (field.isEmpty || !(event.altKey || event.ctrlKey || event.shiftKey || field.isMaximised)) return;
    event.preventDefault();
    const up = (event.deltaY || event.deltaX) < 0;
    if (!resizes || field.draws === 'no') { this.view.zoomAt(up ? 1.2 : 1 / 1.2, event.clientX, event.clientY); return; }
    field.setSize(up ? field.size * 1.15 + 1 : field.size / 1.15 - 1);
    this.showRing(event);
  }
}

class CanvasKeys {
  constructor(field) {
    this.field = field;
    field.viewElement.addEventListener('keydown', (event) => {
      if (field.isEmpty || !this.press(event)) return;
      event.preventDefault();
      event.stopPropagation();
    });
    field.viewElement.addEventListener('keyup', (event) => { if (event.key === ' ' || event.key.toLowerCase() === 'f') delete field.viewElement.dataset.move; });
    document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && field.isMaximised) field.maximise(false); });
  }

  /** Do what a key stands for; false when it stands for nothing. */
  press(event) {
    const { field } = this, key = event.key.toLowerCase(), draws = field.draws !== 'no';
    if (event.ctrlKey || event.metaKey) {
      if (!draws || (key !== 'z' && key !== 'y')) return false;
      field.perform((drawing) => (key === 'z' && !event.shiftKey ? drawing.undo() : drawing.redo()));
      return true;
    }
    const always = { r: () => field.view.reset(), s: () => field.maximise(!field.isMaximised), f: () => this.hold(), ' ': () => this.hold() };
    const smaller = () => field.setSize(field.size / 1.15 - 1), larger = () => field.setSize(field.size * 1.15 + 1);
    const drawing = {
      q: smaller, '[': smaller, w: larger, ']': larger,
      b: () => field.setTool('brush'), e: () => field.setTool('eraser'), g: () => field.setTool('fill'), p: () => field.setTool('pick'),
      i: () => { if (field.draws === 'mask') field.perform((layer) => layer.invert()); },
    };
    const action = always[key] || (draws && drawing[key]);
    if (!action || event.altKey) return false;
    action();
    return true;
  }

  hold() { this.field.viewElement.dataset.move = 'true'; }
}

let controlHeld = false;
for (const name of ['keydown', 'keyup']) addEventListener(name, (event) => { controlHeld = event.ctrlKey; }, true);
studio.isControlHeld = () => controlHeld;

Object.assign(studio, { CanvasPointer, CanvasKeys });
