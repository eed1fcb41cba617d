const $ = (selector) => element.querySelector(selector);
const view = $('.canvas-view'), stage = $('.canvas-stage'), picture = $('.canvas-stage img'), canvas = $('canvas');
const ring = $('.brush-ring'), slider = $('.brush-size input'), message = $('.canvas-message');
const pen = canvas.getContext('2d');
const paint = view.dataset.paint === 'true';
if (!paint) canvas.remove();

let shown = '';                 // source of the picture on the page
let done = [], undone = [];     // operations on the mask; the mask is what remains when they are replayed
let stroke = null;              // the stroke being drawn
let erasing = false, size = 32;
let zoom = 1, panX = 0, panY = 0;
const fingers = new Map();      // touch points, for pinching
let pinch = null, panning = null;

const say = (sentence) => { message.textContent = sentence; message.hidden = !sentence; };

// --- the mask: operations and their replay -----------------------------------------------------
const segment = (a, b, operation) => {
  pen.globalCompositeOperation = operation.erase ? 'destination-out' : 'source-over';
  pen.strokeStyle = pen.fillStyle = '#fff';
  pen.lineCap = 'round';
  pen.lineWidth = operation.size * b[2];
  pen.beginPath();
  if (a === b) { pen.arc(b[0], b[1], pen.lineWidth / 2, 0, 2 * Math.PI); pen.fill(); return; }
  pen.moveTo(a[0], a[1]);
  pen.lineTo(b[0], b[1]);
  pen.stroke();
};
const apply = (operation) => {
  if (operation.kind === 'stroke') operation.points.forEach((point, i, all) => segment(all[Math.max(0, i - 1)], point, operation));
  pen.globalCompositeOperation = 'source-over';
  if (operation.kind === 'clear') pen.clearRect(0, 0, canvas.width, canvas.height);
  if (operation.kind === 'invert') {
    pen.globalCompositeOperation = 'xor';
    pen.fillStyle = '#fff';
    pen.fillRect(0, 0, canvas.width, canvas.height);
  }
};
const replay = () => {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  const from = done.findLastIndex((operation) => operation.kind === 'clear');
  done.slice(from + 1).forEach(apply);
};
const commit = () => {
  props.value = { ...props.value, mask: done.length ? canvas.toDataURL('image/png') : '' };
  $('.undo').disabled = !done.length;
  $('.redo').disabled = !undone.length;
};
const perform = (operation) => { done.push(operation); undone = []; apply(operation); commit(); };
const undo = () => { if (done.length) { undone.push(done.pop()); replay(); commit(); } };
const redo = () => { if (undone.length) { const operation = undone.pop(); done.push(operation); apply(operation); commit(); } };

// --- the view: zoom, pan, brush ------------------------------------------------------------------
const place = () => {
  stage.style.transform = `translate(${panX}px, ${panY}px) scale(${zoom})`;
  $('.zoom-fit').textContent = zoom === 1 ? 'Fit' : `${Math.round(zoom * 100)}%`;
};
const zoomAt = (factor, x, y) => {  // x, y in pixels from the middle of the view
  const next = Math.min(16, Math.max(1, zoom * factor));
  const by = next / zoom;
  panX = next === 1 ? 0 : x - (x - panX) * by;
  panY = next === 1 ? 0 : y - (y - panY) * by;
  zoom = next;
  place();
};
const fromMiddle = (event) => { const r = view.getBoundingClientRect(); return [event.clientX - r.left - r.width / 2, event.clientY - r.top - r.height / 2]; };
const fit = () => { zoom = 1; panX = panY = 0; place(); };
const setSize = (next) => { size = Math.min(+slider.max, Math.max(1, Math.round(next))); slider.value = size; $('.brush-size output').textContent = size; };
const setErasing = (on) => { erasing = on; $('.brush').setAttribute('aria-pressed', String(!on)); $('.eraser').setAttribute('aria-pressed', String(on)); };
const showRing = (event) => {
  if (event.pointerType === 'touch') { ring.hidden = true; return; }
  const r = canvas.getBoundingClientRect(), diameter = size * r.width / canvas.width / zoom;
  ring.hidden = false;
  ring.style.width = ring.style.height = `${diameter}px`;
  ring.style.left = `${(event.clientX - r.left) / zoom - diameter / 2}px`;
  ring.style.top = `${(event.clientY - r.top) / zoom - diameter / 2}px`;
};
const point = (event) => {
  const r = canvas.getBoundingClientRect();
  const pressure = event.pointerType === 'pen' && event.pressure > 0 ? 0.25 + 0.75 * event.pressure : 1;
  return [(event.clientX - r.left) * canvas.width / r.width, (event.clientY - r.top) * canvas.height / r.height, pressure];
};

const startPinch = () => {
  const [a, b] = [...fingers.values()];
  pinch = { distance: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), x: (a.clientX + b.clientX) / 2, y: (a.clientY + b.clientY) / 2 };
  if (stroke) { stroke = null; replay(); }  // the first finger only seemed to draw
};
const movePinch = () => {
  const [a, b] = [...fingers.values()];
  const distance = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), x = (a.clientX + b.clientX) / 2, y = (a.clientY + b.clientY) / 2;
  panX += x - pinch.x;
  panY += y - pinch.y;
  zoomAt(distance / pinch.distance, ...fromMiddle({ clientX: x, clientY: y }));
  pinch = { distance, x, y };
};
const pointerDown = (event) => {
  if (stage.hidden || event.target.closest('.dropzone')) return;
  event.preventDefault();
  view.focus({ preventScroll: true });
  view.setPointerCapture(event.pointerId);
  if (event.pointerType === 'touch') {
    fingers.set(event.pointerId, event);
    if (fingers.size === 2) { startPinch(); return; }
  }
  if (event.button === 1 || view.dataset.move === 'true') { panning = { x: event.clientX - panX, y: event.clientY - panY }; return; }
  if (!paint || event.button > 0) return;
  stroke = { kind: 'stroke', erase: erasing || event.altKey && event.pointerType === 'mouse', size, points: [point(event)] };
  segment(stroke.points[0], stroke.points[0], stroke);
};
const pointerMove = (event) => {
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
  if (pinch && fingers.size === 2) { movePinch(); return; }
  if (panning) { panX = event.clientX - panning.x; panY = event.clientY - panning.y; place(); return; }
  if (paint && !stage.hidden) showRing(event);
  if (!stroke) return;
  const events = event.getCoalescedEvents?.() || [];
  for (const one of events.length ? events : [event]) {
    const next = point(one), last = stroke.points[stroke.points.length - 1];
    segment(last, next, stroke);
    stroke.points.push(next);
  }
};
const pointerUp = (event) => {
  fingers.delete(event.pointerId);
  if (fingers.size < 2) pinch = null;
  panning = null;
  if (!stroke) return;
  done.push(stroke);
  undone = [];
  stroke = null;
  commit();
};
view.addEventListener('pointerdown', pointerDown);
view.addEventListener('pointermove', pointerMove);
view.addEventListener('pointerup', pointerUp);
view.addEventListener('pointercancel', pointerUp);
view.addEventListener('pointerleave', () => { ring.hidden = true; });
view.addEventListener('wheel', (event) => {
  if (stage.hidden || !(event.altKey || event.ctrlKey || event.shiftKey)) return;
  event.preventDefault();
  const up = (event.deltaY || event.deltaX) < 0;
  if (event.ctrlKey && paint) setSize(up ? size * 1.15 + 1 : size / 1.15 - 1);
  else zoomAt(up ? 1.2 : 1 / 1.2, ...fromMiddle(event));
}, { passive: false });
view.addEventListener('keydown', (event) => {
  if (stage.hidden) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (!paint || (key !== 'z' && key !== 'y')) return;
    if (key === 'z' && !event.shiftKey) undo(); else redo();
  }
  else if (key === 'q') setSize(size / 1.15 - 1);
  else if (key === 'w') setSize(size * 1.15 + 1);
  else if (key === 'r') fit();
  else if (key === 'f') view.dataset.move = 'true';
  else if (paint && key === 'b') setErasing(false);
  else if (paint && key === 'e') setErasing(true);
  else if (paint && key === 'i') perform({ kind: 'invert' });
  else return;
  event.preventDefault();
  event.stopPropagation();
});
view.addEventListener('keyup', (event) => { if (event.key.toLowerCase() === 'f') delete view.dataset.move; });
$('.brush').onclick = () => setErasing(false);
$('.eraser').onclick = () => setErasing(true);
slider.oninput = () => setSize(+slider.value);
$('.undo').onclick = undo;
$('.redo').onclick = redo;
$('.invert').onclick = () => perform({ kind: 'invert' });
$('.clear').onclick = () => perform({ kind: 'clear' });
$('.zoom-in').onclick = () => zoomAt(1.4, 0, 0);
$('.zoom-out').onclick = () => zoomAt(1 / 1.4, 0, 0);
$('.zoom-fit').onclick = fit;

// --- the picture: chosen, dropped, pasted or sent by the server ----------------------------------
const empty = () => {
  shown = '';
  picture.removeAttribute('src');
  stage.hidden = true;
  $('.dropzone').hidden = false;
  $('.canvas-bar').hidden = $('.canvas-foot').hidden = true;
  view.dataset.ready = 'false';
};
const ready = (name) => {
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  stage.style.aspectRatio = `${picture.naturalWidth} / ${picture.naturalHeight}`;
  stage.style.setProperty('--ratio', picture.naturalWidth / picture.naturalHeight);
  stage.hidden = false;
  $('.dropzone').hidden = true;
  $('.canvas-bar').hidden = !paint;
  $('.canvas-foot').hidden = false;
  $('.canvas-info').textContent = `${picture.naturalWidth} × ${picture.naturalHeight}${name ? ' · ' + name : ''}`;
  slider.max = Math.max(64, Math.round(Math.max(picture.naturalWidth, picture.naturalHeight) / 2));
  setSize(Math.max(8, Math.min(picture.naturalWidth, picture.naturalHeight) / 10));
  done = [];
  undone = [];
  fit();
  $('.undo').disabled = $('.redo').disabled = true;
  view.dataset.ready = 'true';
  props.value = { ...props.value, size: [picture.naturalWidth, picture.naturalHeight] };
};
const show = (source, name) => {
  shown = source;
  say('');
  picture.onload = () => ready(name);
  picture.onerror = () => { if (shown === source) { empty(); props.value = {}; say('This file is not a picture that the browser can show; use PNG, JPEG or WebP.'); } };
  picture.alt = name || 'Chosen picture';
  picture.src = source;
};
const take = async (file) => {
  if (!file) return;
  if (file.type && !file.type.startsWith('image/')) { say(`“${file.name}” is not a picture; use PNG, JPEG or WebP.`); return; }
  const source = URL.createObjectURL(file);
  props.value = {};
  show(source, file.name);
  try {
    const sent = await upload(file);
    if (shown !== source) return;
    props.value = { ...props.value, image: { path: sent.path, url: source, name: file.name }, mask: props.value?.mask || '' };
    trigger('upload');
  } catch {
    if (shown === source) { empty(); props.value = {}; }
    say('The picture could not be uploaded: it is too large, or the server cannot be reached.');
  }
};
$('.dropzone input').onchange = (event) => { take(event.target.files[0]); event.target.value = ''; };
$('.remove').onclick = () => { empty(); props.value = {}; trigger('clear'); };
for (const name of ['dragenter', 'dragover']) element.addEventListener(name, (event) => { event.preventDefault(); view.dataset.over = 'true'; });
for (const name of ['dragleave', 'drop']) element.addEventListener(name, () => { delete view.dataset.over; });
element.addEventListener('drop', async (event) => {
  event.preventDefault();
  event.stopPropagation();
  const file = event.dataTransfer.files[0];
  if (file) { take(file); return; }
  const address = event.dataTransfer.getData('text/uri-list').split('\n')[0];
  if (!address || new URL(address, location.href).origin !== location.origin) return;
  const answer = await fetch(address);
  take(new File([await answer.blob()], address.split('/').pop() || 'picture'));
});
element.addEventListener('studio-picture', (event) => take(event.detail));

const follow = () => {
  const image = (props.value || {}).image;
  if (!image) { if (shown) empty(); return; }
  const source = image.url || 'files/' + encodeURIComponent(image.id);
  if (source !== shown) show(source, image.name);
};
watch('value', follow);
follow();
