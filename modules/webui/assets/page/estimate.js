// What a txt2img picture would cost in time and memory, below the buttons, while the form is filled.
const TAB = 'txt2img';
let asked = 0;

const duration = (seconds) => {
  if (seconds < 60) return studio.text('{0} s', Math.max(1, Math.round(seconds)));
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? studio.text('{0} min', minutes) : studio.text('{0} h {1} min', Math.floor(minutes / 60), minutes % 60);
};
const requestOf = (value) => ({
  prompt: '', steps: value('steps'), cfg_scale: value('cfg_scale'), width: value('width'), height: value('height'),
  batch_size: value('batch_size'), n_iter: value('batch_count'), sampler_name: value('sampling') || null,
  checkpoint: value('setting_sd_model_checkpoint') || null,
  hires: value('hr') ? {
    upscaler: value('hr_upscaler'), scale: value('hr_scale'), resize_x: value('hr_resize_x'), resize_y: value('hr_resize_y'),
    steps: value('hires_steps'), denoising_strength: value('denoising_strength'),
  } : null,
});
const sentences = (found) => [
  found.seconds === null ? '' : studio.text('About {0}', duration(found.seconds)),
  found.wait_seconds ? studio.text('begins in {0}', duration(found.wait_seconds)) : '',
  found.fit === 'tiles' ? studio.text('decoded in tiles to fit the memory') : '',
  found.fit === 'offloads' ? studio.text('slower, for the memory is short') : '',
].filter(Boolean);
const line = () => {
  const column = document.getElementById(`${TAB}_actions_column`);
  if (!column) return null;
  return column.querySelector('.estimate') || column.appendChild(studio.make('p', { class: 'estimate quiet' }));
};
const ask = async () => {
  const number = ++asked, place = line();
  if (!place || place.offsetParent === null) return;
  const found = await studio.ask('POST', 'page/estimate', requestOf((key) => studio.form.value(TAB, key) ?? null)).catch(() => null);
  if (number === asked) place.textContent = found ? sentences(found).join(' · ') : '';
};
const askSoon = studio.settled(700, ask);
document.addEventListener('studio-form', ({ detail }) => { if (detail === TAB) askSoon(); });
