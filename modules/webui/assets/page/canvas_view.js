// How a picture and the drawing on it are shown: zoom, pan, and an overlay no larger than the view.
const MAX_SCREEN_PIXELS = 32;  // of one pixel of the picture at the largest zoom

class CanvasView {
  /** `stage` holds the picture and follows zoom and pan; `overlay` is a canvas over the whole view. */
  constructor(view, stage, overlay, onZoom) {
    Object.assign(this, { view, stage, overlay, onZoom, drawing: null, width: 1, height: 1 });
    this.pen = overlay?.getContext('2d', { willReadFrequently: true });
    this.reset();
    new ResizeObserver(() => this.place()).observe(view);
  }

  /** Show a picture of this size with this drawing, null for none. */
  show(width, height, drawing) {
    Object.assign(this, { width, height, drawing });
    this.reset();
  }

  get scale() { return this.fit * this.zoom; }
  get fit() { return Math.min(this.view.clientWidth / this.width, this.view.clientHeight / this.height) || 1; }

  reset() {
    this.zoom = 1;
    this.panX = this.panY = 0;
    this.place();
  }

  /** Put stage and overlay where zoom and pan want them. */
  place() {
    const { clientWidth, clientHeight } = this.view;
    if (!clientWidth) return;  // its tab is not open
    this.left = clientWidth / 2 + this.panX - this.width * this.scale / 2;
    this.top = clientHeight / 2 + this.panY - this.height * this.scale / 2;
    const style = this.stage.style;
    style.left = `${this.left}px`;
    style.top = `${this.top}px`;
    style.width = `${this.width * this.scale}px`;
    style.height = `${this.height * this.scale}px`;
    this.stage.classList.toggle('pixels', this.scale >= 4);
    this.onZoom(this.zoom);
    this.redraw();
  }

  /** Zoom around a point of the screen. */
  zoomAt(factor, clientX, clientY) {
    const box = this.view.getBoundingClientRect(), next = Math.min(Math.max(1, MAX_SCREEN_PIXELS / this.fit), Math.max(1, this.zoom * factor));
    const x = clientX - box.left - box.width / 2, y = clientY - box.top - box.height / 2, by = next / this.zoom;
    this.panX = next === 1 ? 0 : x - (x - this.panX) * by;
    this.panY = next === 1 ? 0 : y - (y - this.panY) * by;
    this.zoom = next;
    this.place();
  }

  zoomBy(factor) {
    const box = this.view.getBoundingClientRect();
    this.zoomAt(factor, box.left + box.width / 2, box.top + box.height / 2);
  }

  pan(dx, dy) {
    this.panX += dx;
    this.panY += dy;
    this.place();
  }

  /** Where a pointer is, in pixels of the picture. */
  at(event) {
    const box = this.view.getBoundingClientRect();
    return [(event.clientX - box.left - this.left) / this.scale, (event.clientY - box.top - this.top) / this.scale];
  }

  /** Draw on the overlay in pixels of the picture, for what is not part of the drawing yet. */
  draw(paint) {
    const ratio = devicePixelRatio || 1;
    this.pen.save();
    this.pen.setTransform(ratio * this.scale, 0, 0, ratio * this.scale, ratio * this.left, ratio * this.top);
    this.pen.beginPath();
    this.pen.rect(0, 0, this.width, this.height);
    this.pen.clip();
    paint(this.pen);
    this.pen.restore();
  }

  redraw() {
    if (!this.pen) return;
    const ratio = devicePixelRatio || 1, width = Math.round(this.view.clientWidth * ratio), height = Math.round(this.view.clientHeight * ratio);
    if (this.overlay.width !== width || this.overlay.height !== height) [this.overlay.width, this.overlay.height] = [width, height];
    else this.pen.clearRect(0, 0, width, height);
    if (!this.drawing || this.drawing.isBlank) return;
    const left = Math.max(0, -this.left / this.scale), top = Math.max(0, -this.top / this.scale);
    const seenX = Math.min(this.width, (this.view.clientWidth - this.left) / this.scale) - left;
    const seenY = Math.min(this.height, (this.view.clientHeight - this.top) / this.scale) - top;
    if (seenX <= 0 || seenY <= 0) return;
    this.draw((pen) => {
      pen.imageSmoothingEnabled = this.scale * ratio < 4;
      pen.drawImage(this.drawing.layer, left, top, seenX, seenY, left, top, seenX, seenY);
    });
  }
}

Object.assign(studio, { CanvasView });
