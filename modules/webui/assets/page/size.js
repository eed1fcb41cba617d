// Width and height: common shapes, and what a scale makes of the picture that is handed in.
const STEP = 8;
const setNumber = (id, value) => {
  const input = document.querySelector(`#${id} input[type=number]`);
  input.value = value;
  input.dispatchEvent(new Event('input', { bubbles: true }));
  input.dispatchEvent(new Event('blur', { bubbles: true }));
};
const numberOf = (id) => Number(document.querySelector(`#${id} input[type=number]`)?.value);

/** A shape of about the area that is set, lying as it lies; a second press turns it. */
const takeRatio = (tab, ratio) => {
  const [a, b] = ratio.split(':').map(Number), width = numberOf(`${tab}_width`), height = numberOf(`${tab}_height`);
  const area = width * height, long = Math.round(Math.sqrt(area * a / b) / STEP) * STEP, short = Math.round(long * b / a / STEP) * STEP;
  const isTall = height > width || (width === long && height === short);
  setNumber(`${tab}_width`, isTall ? short : long);
  setNumber(`${tab}_height`, isTall ? long : short);
};
document.addEventListener('click', (event) => {
  const chip = event.target.closest?.('[data-ratio]');
  if (chip) takeRatio(studio.activeTab(), chip.dataset.ratio);
});

const previewScale = () => {
  const tab = studio.activeTab(), place = document.querySelector(`.scale-preview[data-tab="${tab}"]`);
  if (!place || place.offsetParent === null) return;
  const size = studio.pictureSize(tab), scale = numberOf(`${tab}_scale`);
  const [width, height] = size.map((side) => Math.max(STEP, Math.floor(side * scale / STEP) * STEP));
  place.textContent = size.length ? studio.text('From {0}×{1} to {2}×{3}', ...size, width, height) : studio.text('Choose a picture to see its new size.');
};
document.addEventListener('input', (event) => { if (event.target.closest?.('[id$="_scale"]')) previewScale(); });
document.addEventListener('studio-picture-changed', previewScale);
document.addEventListener('click', () => setTimeout(previewScale));

/** Beside "Hires. fix": the size that the second pass makes of the first. */
const showHiresSize = ({ detail: tab }) => {
  const head = document.querySelector(`#${tab}_hr > .label-wrap > span`);
  if (!head) return;
  const value = (key) => Number(studio.form.value(tab, key)) || 0;
  const width = value('width'), height = value('height'), x = value('hr_resize_x'), y = value('hr_resize_y'), scale = value('hr_scale');
  const size = x && y ? [x, y] : x ? [x, Math.floor(x * height / width)] : y ? [Math.floor(y * width / height), y] : [Math.floor(width * scale), Math.floor(height * scale)];
  const place = head.querySelector('.hires-size') || head.appendChild(studio.make('small', { class: 'hires-size' }));
  place.textContent = studio.form.value(tab, 'hr') === true ? studio.text('From {0}×{1} to {2}×{3}', width, height, ...size) : '';
};
document.addEventListener('studio-form', showHiresSize);
