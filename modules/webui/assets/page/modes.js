// The modes of img2img: which of its options apply is told by the page's data-mode.
studio.showMode = (tab, mode) => {
  const page = studio.page(tab);
  if (!page) return;
  page.dataset.mode = mode;
  studio.form.written(tab);
  const buttons = [...page.querySelectorAll(`#mode_${tab} > .tab-wrapper [role=tab]`)];
  const wanted = buttons.find((button) => button.textContent.trim() === mode || button.dataset.tabId === mode);
  if (wanted && wanted.getAttribute('aria-selected') !== 'true') wanted.click();
};
