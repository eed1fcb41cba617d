// What must reach the server before a button may: an upload, or a drawing that is being packed.
const underWay = new Set();

studio.waitFor = (promise) => {
  underWay.add(promise);
  promise.finally(() => underWay.delete(promise));
};
document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('.studio-tab button');
  if (!button || !underWay.size || !button.id || button.closest('.picture-field')) return;
  event.stopImmediatePropagation();
  event.preventDefault();
  await Promise.allSettled([...underWay]);
  button.click();
}, true);
