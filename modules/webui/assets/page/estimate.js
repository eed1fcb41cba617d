// What a job would cost in time and memory, below the buttons of its tab, while the form is filled.
const asked = {};   // tab -> number of questions

/** Width and height of the result; [] while they depend on a picture that is not there. */
const sizeOf = (tab, value) => (value('resize_tab') === 'by'
  ? studio.pictureSize(tab).map((side) => Math.max(8, Math.floor(side * value('scale') / 8) * 8))
  : [value('width'), value('height')]);
const hiresOf = (value) => (value('hr') ? {
  upscaler: value('hr_upscaler'), scale: value('hr_scale'), resize_x: value('hr_resize_x'), resize_y: value('hr_resize_y'),
  steps: value('hires_steps'), denoising_strength: value('denoising_strength'),
} : null);
const requestOf = (tab, value) => {
  const [width, height] = sizeOf(tab, value);
  return {
    prompt: '', width, height, steps: value('steps'), cfg_scale: value('cfg_scale'), batch_size: value('batch_size'),
    n_iter: value('batch_count'), sampler_name: value('sampling') || null, checkpoint: value('setting_sd_model_checkpoint') || null,
    hires: hiresOf(value),
    image_to_image: tab === 'txt2img' ? null : { images: ['start'], denoising_strength: value('denoising_strength') },
  };
};
const sentences = (found, isBatch) => [
  found.seconds === null ? '' : isBatch ? studio.text('About {0} for each picture', studio.duration(found.seconds)) : studio.text('About {0}', studio.duration(found.seconds)),
  found.wait_seconds ? studio.text('begins in {0}', studio.duration(found.wait_seconds)) : '',
  found.fit === 'tiles' ? studio.text('decoded in tiles to fit the memory') : '',
  found.fit === 'offloads' ? studio.text('slower, for the memory is short') : '',
].filter(Boolean);
const lineOf = (tab) => {
  const column = document.getElementById(`${tab}_actions_column`);
  return column && (column.querySelector('.estimate') || column.appendChild(studio.make('p', { class: 'estimate quiet' })));
};
const ask = async (tab) => {
  const number = asked[tab] = (asked[tab] || 0) + 1, place = lineOf(tab), value = (key) => studio.form.value(tab, key) ?? null;
  if (!place || studio.activeTab() !== tab) return;
  const request = requestOf(tab, value);
  const found = request.width ? await studio.ask('POST', 'page/estimate', request).catch(() => null) : null;
  if (number === asked[tab]) place.textContent = found ? sentences(found, value('mode') === 'Batch').join(' · ') : '';
};
const asks = Object.fromEntries(['txt2img', 'img2img', 'inpaint'].map((tab) => [tab, studio.settled(700, () => ask(tab))]));
document.addEventListener('studio-form', ({ detail }) => asks[detail]?.());
document.addEventListener('studio-picture-changed', () => asks[studio.activeTab()]?.());
document.addEventListener('click', (event) => {
  if (event.target.closest?.('[role=tab]')) setTimeout(() => asks[studio.activeTab()]?.(), 100);
});
