// Pictures that are dropped on the page or pasted from the clipboard.
for (const name of ['dragover', 'drop']) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer || ![...event.dataTransfer.types].includes('Files')) return;
    if (event.target.closest?.('.picture-field, input[type=file]')) return;
    event.preventDefault();  // a picture dropped beside a field must not replace the page
    if (name !== 'drop') return;
    const tab = studio.activeTab(), file = event.dataTransfer.files[0], input = document.querySelector(`#${tab}_prompt_image input[type=file]`);
    if (!tab || !file || !input) return;
    const carrier = new DataTransfer();
    carrier.items.add(file);
    input.files = carrier.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
  });
}
document.addEventListener('paste', (event) => {
  const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith('image/'));
  const field = file && [...document.querySelectorAll('.picture-field')].find((one) => one.offsetParent !== null);
  if (!field) return;
  event.preventDefault();
  field.querySelector('.canvas-view').dispatchEvent(new CustomEvent('studio-picture', { detail: file, bubbles: true }));
});
