// Pictures that are dropped on the page or pasted from the clipboard.
/** A picture of this page that is dragged by its address; undefined for what lies elsewhere. */
studio.draggedPicture = async (carrier) => {
  const address = carrier.getData('text/uri-list').split('\n')[0];
  const answer = await fetch(address);
  return new File([await answer.blob()], address.split('/').pop() || 'picture');
};
studio.isOwnPicture = (carrier) => {
  const address = carrier.getData('text/uri-list').split('\n')[0];
  return Boolean(address) && URL.canParse(address, location.href) && new URL(address, location.href).origin === location.origin;
};
/** Read the parameters of a picture into the form of a tab. */
const readParameters = (tab, file) => {
  const input = document.querySelector(`#${tab}_prompt_image input[type=file]`);
  if (!file || !input) return;
  const carrier = new DataTransfer();
  carrier.items.add(file);
  input.files = carrier.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
};
for (const name of ['dragover', 'drop']) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer || ![...event.dataTransfer.types].includes('Files')) return;
    if (event.target.closest?.('.picture-field, input[type=file]')) return;
    event.preventDefault();  // a picture dropped beside a field must not replace the page
    if (name === 'drop' && studio.activeTab()) readParameters(studio.activeTab(), event.dataTransfer.files[0]);
  });
}
document.addEventListener('drop', async (event) => {   // from the gallery or the history onto a prompt
  if (event.defaultPrevented || !event.target.closest?.('.prompt-box') || !studio.isOwnPicture(event.dataTransfer)) return;
  event.preventDefault();
  readParameters(studio.activeTab(), await studio.draggedPicture(event.dataTransfer));
});
document.addEventListener('paste', (event) => {
  const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith('image/'));
  const field = file && [...document.querySelectorAll('.picture-field')].find((one) => one.offsetParent !== null);
  if (!field) return;
  event.preventDefault();
  field.querySelector('.canvas-view').dispatchEvent(new CustomEvent('studio-picture', { detail: file, bubbles: true }));
});
